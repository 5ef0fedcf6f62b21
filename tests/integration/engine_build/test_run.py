"""RUN in real containers."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from build_bench import Opened, Told, Workbench
from riad.engine.build.errors import CommandFailed
from riad.engine.build.options import BuildOptions
from riad.engine.host import overlayfs
from riad.kernel.faults import Fault
from riad.kernel.process import run
from riad.oci.reference import parse_reference

pytestmark = pytest.mark.root


async def test_a_command_changes_the_image_as_user_in_its_directory_with_its_environment(bench: Workbench) -> None:
    told = await bench.build(
        "FROM base:1\nARG GIVEN=arg\nENV SET=env\nRUN mkdir -m 777 /w\nWORKDIR /w\nUSER app\n"
        'RUN echo "$GIVEN $SET $HOME $(pwd)" > out && id -u && rm -f /tmp/none\n'
    )
    assert told.output == "1000\n"
    async with bench.root(told) as root:
        assert (root / "w/out").read_text() == "arg env /home/app /w\n"
        assert (root / "w/out").stat().st_uid == 1000
    assert bench.left_behind() == []


async def test_removed_files_are_gone_from_the_image(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nRUN echo x > /x\nRUN rm /x /etc/group\nRUN ls /etc\n")
    async with bench.root(told) as root:
        assert not (root / "x").exists()
        assert "group" not in told.output


async def test_mount_points_and_the_engines_files_do_not_become_part_of_the_image(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nRUN --mount=type=tmpfs,target=/a/b true > /x\n")
    async with bench.root(told) as root:
        assert (root / "x").exists()
        assert not (root / "a").exists() and not (root / "etc/resolv.conf").exists() and not (root / "dev/pts").exists()


async def test_a_command_that_changes_nothing_makes_no_layer(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nRUN true\nWORKDIR /tmp\nENV A=1\n")
    assert told.image is not None
    assert len(told.image.layers) == 1
    assert [entry.empty_layer for entry in told.image.config.history[-3:]] == [True, True, True]


async def test_a_failing_command_is_told_in_dockers_words_with_its_line(bench: Workbench) -> None:
    told = Told()
    with pytest.raises(CommandFailed) as caught:
        await bench.build("FROM base:1\n\nRUN echo before; exit 3\n", told=told)
    assert caught.value.message == (
        "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3 (Dockerfile, line 3)"
    )
    assert caught.value.code == 3
    assert told.output == "before\n"
    assert bench.left_behind() == []


async def test_a_program_that_is_not_there_is_named_with_its_line(bench: Workbench) -> None:
    with pytest.raises(Fault) as caught:
        await bench.build('FROM base:1\nRUN ["/nope", "x"]\n')
    assert caught.value.message.startswith("dockerfile line 2: ")
    assert "/nope" in caught.value.message
    assert bench.left_behind() == []


async def test_output_comes_while_the_command_runs_and_cancelling_ends_it(bench: Workbench) -> None:
    told = Told()
    seconds = str(10**6 + secrets.randbelow(10**6))  # other tests sleep, too
    building = asyncio.create_task(bench.build(f"FROM base:1\nRUN echo here; sleep {seconds}\n", told=told))
    async with asyncio.timeout(20):
        await told.first_output.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert bench.left_behind() == []
    assert (await run(["pgrep", "-f", seconds], timeout=20, check=False)).stdout == b""


async def test_the_shell_may_be_chosen(bench: Workbench) -> None:
    told = await bench.build('FROM base:1\nSHELL ["/bin/bash", "-c"]\nRUN echo ${BASH_VERSION:0:1}\n')
    assert told.output.strip().isdigit()


async def test_here_documents_run_in_the_shell_or_by_their_interpreter(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nRUN <<A\nx=1\necho $x\nA\nRUN <<B\n#!/bin/cat\nhello\nB\n")
    assert told.output == "1\n#!/bin/cat\nhello\n"


async def test_cache_mounts_stay_between_builds_and_out_of_the_image(bench: Workbench) -> None:
    text = "FROM base:1\nRUN --mount=type=cache,target=/c echo {} >> /c/log && cat /c/log\n"
    await bench.build(text.format(1))
    told = await bench.build(text.format(2))
    assert told.output == "1\n2\n"
    await bench.engine.builder.clear_cache_mounts()
    assert (await bench.build(text.format(3))).output == "3\n"
    async with bench.root(told) as root:
        assert not (root / "c").exists()


async def test_bind_mounts_show_context_and_stages_and_forget_what_is_written(bench: Workbench) -> None:
    told = await bench.build(
        "FROM base:1 AS one\nRUN echo stage > /f\nFROM base:1\n"
        "RUN --mount=target=/ctx --mount=from=one,source=/f,target=/f cat /ctx/a /f; echo x > /ctx/a || echo denied\n"
        "RUN --mount=target=/ctx,rw --mount=from=one,target=/s,rw echo y > /ctx/a; echo z > /s/f; cat /ctx/a /s/f\n"
        "RUN --mount=target=/ctx --mount=from=one,target=/s cat /ctx/a /s/f\n",
        {"a": b"context\n"},
    )
    lines = [line for line in told.output.splitlines() if "Read-only" not in line]
    assert lines == ["context", "stage", "denied", "y", "z", "context", "stage"]
    assert bench.left_behind() == []


async def test_networks_none_host_and_bridge(bench: Workbench) -> None:
    show = "cat /proc/net/dev; getent hosts extra"
    text = f"FROM base:1\nRUN --network=none {show} || true\n"
    alone = await bench.build(text)
    assert "eth0" not in alone.output
    bridged = await bench.build(f"FROM base:1\nRUN {show}\n", options=BuildOptions(extra_hosts=("extra:10.9.8.7",)))
    assert "eth0" in bridged.output and "10.9.8.7" in bridged.output
    hosts = await bench.build(f"FROM base:1\nRUN {show} || true\n", options=BuildOptions(network="host"))
    assert len(hosts.output.splitlines()) > len(bridged.output.splitlines()) or "eth0" not in alone.output


async def test_concurrent_builds_run_an_identical_step_once(bench: Workbench) -> None:
    text = "FROM base:1\nRUN echo ran && date +%N > /x\nRUN echo {}\n"
    async with asyncio.TaskGroup() as group:
        builds = [group.create_task(bench.build(text.format(number))) for number in range(4)]
    told = [build.result() for build in builds]
    assert sum("ran" in one.output for one in told) == 1
    assert len({one.image.layers for one in told if one.image}) == 1
    assert bench.left_behind() == []


async def test_an_onbuild_trigger_runs_in_the_image_built_on_it(bench: Workbench) -> None:
    await bench.build(
        "FROM base:1\nONBUILD COPY a /a\nONBUILD RUN cat /a\n",
        {"a": b"x"},
        options=BuildOptions(tags=(parse_reference("parent:1"),)),
    )
    told = await bench.build("FROM parent:1\nRUN true\n", {"a": b"child\n"})
    assert told.output == "child\n"
    assert told.image is not None and told.image.config.config.on_build == ()


async def test_a_trigger_may_not_bring_in_another_image(bench: Workbench) -> None:
    await bench.build(
        "FROM base:1\nONBUILD COPY --from=base:1 /etc/passwd /x\n",
        options=BuildOptions(tags=(parse_reference("trap:1"),)),
    )
    with pytest.raises(Fault) as caught:
        await bench.build("FROM trap:1\n")
    assert "names another image" in caught.value.message


async def test_what_a_killed_engine_left_is_removed_at_start(opened: Opened) -> None:
    async with opened() as bench:
        left = bench.engine.data / "build" / "work" / "dead"
        async with bench.engine.builder.workplace():
            pass
        left.mkdir()
    for name in ("lower", "upper", "work", "merged"):
        (left / name).mkdir()
    overlayfs.mount([left / "lower"], left / "upper", left / "work", left / "merged")
    assert str(left) in Path("/proc/mounts").read_text()
    async with opened() as bench:
        assert bench.left_behind() == []
        assert not left.exists()
