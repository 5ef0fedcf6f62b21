"""The instructions of a Dockerfile as values. Variables are not yet replaced: which exist is known only while building.

Every field keeps the text as written, so that `$NAME` can be expanded when the environment at that point is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riad.dockerfile.source import Heredoc


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """`line`…`end_line` count from 1; `text` is the statement on one line, as progress and history show it."""

    line: int = 0
    end_line: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """`args` is an argument list, or with `in_shell` one text for the shell that SHELL names."""

    args: tuple[str, ...]
    in_shell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    image: str
    name: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """Names with their defaults; None where there is none."""

    args: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mount:
    """`RUN --mount=type=…`; options as written, in their long names (`target`, `source`, `readonly`, …)."""

    kind: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_(self) -> str | None:
        return self.options.get("from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str | None = None
    security: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY, and what ADD has in common with it. Here-documents are further sources, in the order of `heredocs`."""

    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...] = ()
    from_: str | None = None
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Copy):
    """`unpack` is None where it is left to the kind of source: local archives yes, downloads no."""

    checksum: str | None = None
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopsignal(Instruction):
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """`test` as in image configurations: `("NONE",)`, `("CMD", …)`, `("CMD-SHELL", text)`. Times in ns, 0 = none."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """`trigger` is the text that the configuration keeps; it was checked to parse."""

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    name: str
