"""What instructions do to a stage, without any file system."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from riad.dockerfile.parse import parse
from riad.engine.build.evaluate import Configure, Execute, MakeDirectory, Place, Scope, absolute, evaluate
from riad.engine.build.stagestate import StageState
from riad.kernel.faults import Fault, Kind
from riad.oci.config import ContainerConfig, ImageConfig


def after(text: str, *, base: ContainerConfig | None = None, args: Mapping[str, str] | None = None) -> StageState:
    """The state after all instructions of a Dockerfile without files."""
    file = parse("FROM base\n" + text)
    scope = Scope({"GLOBAL": "g"}, args or {}, file.escape)
    state = StageState(ImageConfig(config=base or ContainerConfig()), "key")
    for instruction in file.stages[-1].instructions:
        action = evaluate(instruction, state, scope)
        assert isinstance(action, Configure | MakeDirectory)
        state = action.state
    return state


def last(text: str, *, args: Mapping[str, str] | None = None) -> Execute | Place:
    """The action of the instruction behind LAST, after those before it."""
    head, _, tail = text.partition("LAST ")
    state = after(head, args=args)
    action = evaluate(parse("FROM base\n" + tail).stages[0].instructions[0], state, Scope({}, args or {}))
    assert isinstance(action, Execute | Place)
    return action


def test_env_is_expanded_with_what_was_set_before_its_line() -> None:
    state = after("ENV A=1\nENV A=2 B=$A\n")
    assert state.config.env == ("A=2", "B=1")


def test_env_wins_over_arg() -> None:
    assert after("ARG A=arg\nENV A=env\nLABEL x=$A\n", args={"A": "given"}).config.labels == {"x": "env"}


def test_an_arg_takes_what_the_client_gave_then_its_default_then_the_global_value() -> None:
    text = "ARG A=1\nARG GLOBAL\nARG UNSET\nLABEL a=$A g=$GLOBAL u=x$UNSET\n"
    assert after(text).config.labels == {"a": "1", "g": "g", "u": "x"}
    assert after(text, args={"A": "2", "GLOBAL": "h"}).config.labels == {"a": "2", "g": "h", "u": "x"}


def test_a_build_argument_that_nobody_declared_is_unknown() -> None:
    assert after("LABEL a=x$A\n", args={"A": "1"}).config.labels == {"a": "x"}


def test_workdir_is_relative_to_the_one_before() -> None:
    assert after("WORKDIR a\nWORKDIR b/../c/\n").config.working_dir == "/a/c"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x", "/w/x"),
        (".", "/w/"),
        ("./", "/w/"),
        ("/x/", "/x/"),
        ("..", "/"),
        ("../../..", "/"),
        ("/", "/"),
        ("//a", "/a"),
    ],
)
def test_a_path_is_absolute_from_the_working_directory(path: str, expected: str) -> None:
    assert absolute(path, "/w") == expected


def test_shell_form_goes_through_shell() -> None:
    config = after('SHELL ["/bin/bash", "-ec"]\nCMD echo $HOME\n').config
    assert config.cmd == ("/bin/bash", "-ec", "echo $HOME")


def test_entrypoint_takes_an_inherited_cmd_away_but_not_the_stages_own() -> None:
    base = ContainerConfig(cmd=("inherited",))
    assert after('ENTRYPOINT ["x"]\n', base=base).config.cmd is None
    assert after('CMD ["own"]\nENTRYPOINT ["x"]\n', base=base).config.cmd == ("own",)


def test_an_empty_entrypoint_removes_it() -> None:
    assert after("ENTRYPOINT []\n", base=ContainerConfig(entrypoint=("x",))).config.entrypoint is None


def test_expose_knows_ranges_and_protocols() -> None:
    ports = after("ENV P=9000\nEXPOSE 80 53/udp 8000-8002 $P\n").config.exposed_ports
    assert ports == {"80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp", "9000/tcp"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("STOPSIGNAL SIGNOPE", "Invalid signal: SIGNOPE"),
        ('ENV A="${B?must be given}"', "B: must be given"),
        ("WORKDIR $NOTHING", "the path is empty"),
        ("COPY a b c", "the destination must be a directory and end with a /"),
        ("COPY $NOTHING b", "an empty source or destination"),
        ("RUN --security=x y", "RUN --security=x: expected sandbox or insecure"),
        ("RUN --network=x y", "RUN --network=x: expected default, none or host"),
        ("ADD --checksum=sha256:0 x /", "checksum can't be specified for non-HTTP(S) sources"),
        ("COPY --chmod=z+x a b", "--chmod=z+x: expected an octal mode such as 755, or a symbolic one"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_line(line: str, message: str) -> None:
    file = parse(f"FROM base\n{line}\n")
    with pytest.raises(Fault) as caught:
        evaluate(file.stages[0].instructions[0], StageState(ImageConfig(), "key"), Scope({}, {}))
    assert caught.value.kind in (Kind.INVALID, Kind.UNSUPPORTED)
    assert caught.value.message.startswith("dockerfile line 2: ")
    assert message in caught.value.message


def test_a_run_sees_args_and_env_and_history_tells_the_args() -> None:
    action = last("ARG A=1\nENV B=2\nLAST RUN make\n")
    assert isinstance(action, Execute)
    assert action.args == ("/bin/sh", "-c", "make")
    assert set(action.env) == {"A=1", "B=2"}
    assert action.created_by == "RUN |1 A=1 /bin/sh -c make"


def test_proxies_reach_the_command_but_neither_the_cache_nor_the_history() -> None:
    action = last("LAST RUN make\n", args={"HTTP_PROXY": "http://user:secret@proxy"})
    assert isinstance(action, Execute)
    assert action.env == ("HTTP_PROXY=http://user:secret@proxy",)
    assert action.keyed_env == ()
    assert "secret" not in action.created_by


def test_a_here_document_is_the_script() -> None:
    action = last("LAST RUN <<E\none\ntwo\nE\n")
    assert isinstance(action, Execute)
    assert action.args == ("/bin/sh", "-c", "one\ntwo\n")


def test_a_here_document_with_an_interpreter_is_run_by_it() -> None:
    action = last("LAST RUN <<E\n#!/usr/bin/python3\nprint(1)\nE\n")
    assert isinstance(action, Execute)
    assert action.args == ("/dev/pipes/E",)
    assert action.scripts == (("E", "#!/usr/bin/python3\nprint(1)\n"),)


def test_a_here_document_inside_a_command_stays_the_shells() -> None:
    action = last("LAST RUN cat <<E >/x\none\nE\n")
    assert isinstance(action, Execute)
    assert action.args == ("/bin/sh", "-c", "cat <<E >/x\none\nE")


def test_a_copied_here_document_expands_variables_unless_its_name_is_quoted() -> None:
    action = last("ENV A=1\nLAST COPY <<a <<'b' /x/\n$A\na\n$A\nb\n")
    assert isinstance(action, Place)
    assert [item.content for item in action.inline] == ["1\n", "$A\n"]
