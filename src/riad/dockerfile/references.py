"""Which images and stages a Dockerfile stands on, given the build arguments.

The builder resolves FROM lines with `bases`; a proxy that must know beforehand which images a build will read uses
`references`. Both see the same names, because one is made of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.dockerfile import words
from riad.dockerfile.errors import Mistake, at_line
from riad.dockerfile.instructions import Copy, Onbuild, Run
from riad.dockerfile.parse import Dockerfile, Stage, parse_trigger

SCRATCH = "scratch"

# Docker's predefined ARGs: usable with --build-arg without a declaration, and never part of the cache or the history.
PROXY_ARGS = frozenset(
    variant for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY") for variant in
    (name, name.lower())
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Base:
    """What one FROM means: a stage before it (by index), `scratch` (both None), or an image."""

    stage: int | None = None
    image: str | None = None
    platform: str | None = None


def platform_args(platform: str) -> dict[str, str]:
    """The ARGs that describe where a build runs and what for; here always the same. `platform` as `linux/arm64/v8`."""
    os, _, rest = platform.partition("/")
    arch, _, variant = rest.partition("/")
    values = {"PLATFORM": platform, "OS": os, "ARCH": arch, "VARIANT": variant}
    return {prefix + name: value for prefix in ("BUILD", "TARGET") for name, value in values.items()}


def global_values(
    dockerfile: Dockerfile, build_args: Mapping[str, str | None], *, platform: str = "linux/amd64"
) -> dict[str, str]:
    """The values of the ARGs before the first FROM. A build argument of None counts as not given. Raises INVALID."""
    predefined = platform_args(platform) | {"TARGETSTAGE": "default"}
    given = {name: value for name, value in build_args.items() if value is not None}
    values = predefined | {name: value for name, value in given.items() if name in predefined or name in PROXY_ARGS}
    for instruction in dockerfile.global_args:
        for name, default in instruction.args:
            if name in given:
                values[name] = given[name]
            elif default is not None:
                try:
                    values[name] = words.expand(default, values, escape=dockerfile.escape)
                except Mistake as mistake:
                    raise at_line(instruction.line, str(mistake)) from None
    return values


def bases(
    dockerfile: Dockerfile, build_args: Mapping[str, str | None], *, platform: str = "linux/amd64"
) -> tuple[Base, ...]:
    """What each stage starts from, in order. Raises INVALID where a name comes out empty."""
    values = global_values(dockerfile, build_args, platform=platform)
    found: list[Base] = []
    for stage in dockerfile.stages:
        try:
            image = words.expand(stage.base.image, values, escape=dockerfile.escape)
            wanted = stage.base.platform and words.expand(stage.base.platform, values, escape=dockerfile.escape)
        except Mistake as mistake:
            raise at_line(stage.base.line, str(mistake)) from None
        if not image:
            raise at_line(
                stage.base.line,
                f"base name ({stage.base.image}) should not be blank: give its ARG a default before the first FROM, "
                "or a --build-arg",
            )
        found.append(_base(dockerfile, stage.index, image, wanted or None))
    return tuple(found)


def earlier_stage(dockerfile: Dockerfile, before: int, name: str) -> int | None:
    """The stage that `name` (a name in any case, or an index) means at stage `before`; the nearest one above."""
    for stage in reversed(dockerfile.stages[:before]):
        if stage.name == name.lower():
            return stage.index
    return None


def numbered_stage(before: int, name: str) -> int | None:
    """The stage that an index in `--from=0` means at stage `before`."""
    return int(name) if name.isascii() and name.isdigit() and len(name) < 6 and int(name) < before else None


def sources_of(stage: Stage) -> tuple[str, ...]:
    """What `COPY --from=` and `RUN --mount=from=` of a stage name, as written, in order."""
    names: list[str] = []
    for instruction in stage.instructions:
        inner = parse_trigger(instruction.trigger) if isinstance(instruction, Onbuild) else instruction
        if isinstance(inner, Copy) and inner.from_:
            names.append(inner.from_)
        elif isinstance(inner, Run):
            names.extend(mount.from_ for mount in inner.mounts if mount.from_)
    return tuple(names)


def references(
    dockerfile: Dockerfile, build_args: Mapping[str, str | None], *, platform: str = "linux/amd64"
) -> tuple[str, ...]:
    """Every image that building any stage may read, once each, in order: FROM, COPY --from, RUN --mount=from.

    ONBUILD triggers kept inside base images cannot be seen here; the builder refuses triggers that name other images.
    """
    found: dict[str, None] = {}
    for stage, base in zip(dockerfile.stages, bases(dockerfile, build_args, platform=platform), strict=True):
        if base.image is not None:
            found[base.image] = None
        for name in sources_of(stage):
            if name != SCRATCH and source_stage(dockerfile, stage.index, name) is None:
                found[name] = None
    return tuple(found)


def source_stage(dockerfile: Dockerfile, before: int, name: str) -> int | None:
    """The stage that `--from=name` means at stage `before`; None where it is an image."""
    named = earlier_stage(dockerfile, before, name)
    return numbered_stage(before, name) if named is None else named


def _base(dockerfile: Dockerfile, index: int, image: str, platform: str | None) -> Base:
    if image == SCRATCH:
        return Base(platform=platform)
    stage = earlier_stage(dockerfile, index, image)
    return Base(stage=stage, platform=platform) if stage is not None else Base(image=image, platform=platform)
