"""The language by `tests/cases/dockerfile/*.case`: a Dockerfile above the arrow, what it means or its fault below."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riad.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from riad.dockerfile.parse import parse
from riad.dockerfile.references import references
from riad.dockerfile.source import Heredoc
from riad.kernel.faults import Fault

_CASES = Path(__file__).parents[2] / "cases" / "dockerfile"


def _cases() -> Iterator[object]:
    for file in sorted(_CASES.glob("*.case")):
        for block in re.split(r"^=== ", file.read_text(), flags=re.MULTILINE)[1:]:
            title, _, body = block.partition("\n")
            given_, _, expected = ("\n" + body).partition("\n--->\n")
            yield pytest.param(given_[1:] + "\n", expected.strip(), id=f"{file.stem}: {title}")


@pytest.mark.parametrize(("text", "expected"), list(_cases()))
def test_case(text: str, expected: str) -> None:
    content = b"\xef\xbb\xbf" + text[4:].encode() if text.startswith("BOM ") else text.encode()
    try:
        file = parse(content)
    except Fault as fault:
        shown = re.sub(r"^dockerfile parse error on line (\d+)", r"error line \1", fault.message)
        assert (shown if shown.startswith("error") else f"error: {shown}") == expected
        return
    found = [_shown(arg) for arg in file.global_args]
    for stage in file.stages:
        found += [_shown(stage.base), *map(_shown, stage.instructions)]
    assert "\n".join(found) == expected


def _shown(i: Instruction) -> str:
    lines = str(i.line) if i.end_line == i.line else f"{i.line}-{i.end_line}"
    return " ".join(filter(None, (lines, type(i).__name__.upper(), _arguments(i))))


def _arguments(i: Instruction) -> str:
    match i:
        case From():
            name = f" AS {i.name}" if i.name else ""
            return i.image + name + (f" --platform={i.platform}" if i.platform else "")
        case Arg():
            return " ".join(name if default is None else f"{name}={default}" for name, default in i.args)
        case Env() | Label():
            return " ".join(f"{name}={value!r}" for name, value in i.pairs)
        case Run():
            mounts = [
                f"--mount={m.kind}({' '.join(f'{k}={v}' for k, v in sorted(m.options.items()))})" for m in i.mounts
            ]
            network = [f"--network={i.network}"] if i.network else []
            return " ".join([_command(i.command), *_documents(i.heredocs), *mounts, *network])
        case Copy():
            flags = [f"--{n}={v}" for n, v in (("from", i.from_), ("chown", i.chown), ("chmod", i.chmod)) if v]
            flags += ["--link"] if i.link else []
            unpack = [f"unpack={i.unpack}"] if isinstance(i, Add) else []
            return " ".join([str(list(i.sources)), repr(i.target), *_documents(i.heredocs), *flags, *unpack])
        case Cmd() | Entrypoint():
            return _command(i.command)
        case Workdir():
            return i.path
        case User():
            return i.user
        case Stopsignal():
            return i.signal
        case Maintainer():
            return i.name
        case Expose():
            return str(list(i.ports))
        case Volume():
            return str(list(i.paths))
        case Shell():
            return str(list(i.args))
        case Onbuild():
            return repr(i.trigger)
        case Healthcheck():
            times = f"{i.interval} {i.timeout} {i.start_period} {i.start_interval} {i.retries}"
            return f"{i.test[0]} {list(i.test[1:])} {times}"
    raise AssertionError(i)


def _command(command: Command) -> str:
    return f"shell {command.args[0]!r}" if command.in_shell else f"exec {list(command.args)}"


def _documents(heredocs: tuple[Heredoc, ...]) -> list[str]:
    return [f"<<{h.name}({h.content!r}{'' if h.expand else ', literal'})" for h in heredocs]


_WORDS = """
FROM RUN COPY ADD ENV ARG LABEL ONBUILD HEALTHCHECK SHELL EXPOSE VOLUME USER WORKDIR CMD --from=x --mount= --chown --
type=bind,target=/x --interval=1h AS <<EOF <<-'E' EOF \\ ` $ ${ ${x:-y} ${x#*a} ${x/a/b} } " ' [ ] ["a"] = a=b # escape=
NONE 0 \ufeff é \x00
"""
_PIECES = st.sampled_from([*_WORDS.split(), " ", "\n", "\t", "\r", "\\\n", "\n#", "\nFROM a\n"])


@given(st.lists(_PIECES, max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
def test_no_text_makes_the_parser_fail_otherwise_than_by_a_fault(text: str) -> None:
    with contextlib.suppress(Fault):
        references(parse(text), {"x": "y"})


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_parser_fail_otherwise_than_by_a_fault(content: bytes) -> None:
    with contextlib.suppress(Fault):
        parse(b"FROM a\n" + content)
