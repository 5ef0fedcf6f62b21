from __future__ import annotations

import pytest

from riad.dockerfile.parse import parse
from riad.engine.build.plan import Plan, plan
from riad.kernel.faults import Fault

_FILE = """\
ARG V=1
FROM a AS base
RUN one
FROM base AS build
RUN two
FROM b AS unneeded
RUN never
FROM scratch AS final
COPY --from=build /x /y
COPY --from=c /x /z
"""


def planned(text: str = _FILE, target: str = "") -> Plan:
    return plan(parse(text), {}, target=target, platform="linux/amd64")


def names(found: Plan) -> list[str | None]:
    return [stage.stage.name for stage in found.stages]


def test_only_needed_stages_are_built_each_after_what_it_needs() -> None:
    assert names(planned()) == ["base", "build", "final"]


def test_a_target_is_a_name_in_any_case_or_a_number() -> None:
    assert names(planned(target="Build")) == ["base", "build"]
    assert names(planned(target="2")) == ["unneeded"]


def test_an_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(Fault) as caught:
        planned(target="nope")
    assert caught.value.message == (
        "failed to reach build target nope in Dockerfile: its stages are base, build, unneeded, final"
    )


def test_steps_count_global_args_and_needed_instructions_only() -> None:
    assert planned().steps == 1 + 2 + 2 + 3


def test_each_source_is_a_stage_or_an_image() -> None:
    assert planned().stages[-1].sources == {"build": 1, "c": "c"}


def test_a_mounts_stage_is_needed_too() -> None:
    assert names(planned("FROM a AS x\nFROM b AS y\nRUN --mount=from=x,target=/m z\n")) == ["x", "y"]
