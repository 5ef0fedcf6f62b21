"""Builds over BuildKit's protocol, as buildx makes them."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from build_bench import Opened, Workbench, context
from buildkit_client import BuildKitClient, Folder
from elsewhere import git_server, served
from riad.engine.buildkit.grpc import CallFailed
from riad.engine.buildkit.messages.control import Exporter

pytestmark = pytest.mark.root


async def test_an_image_is_made_of_files_that_the_client_shares(bench: Workbench) -> None:
    files = {
        "Dockerfile": b"FROM base:1\nCOPY dir /there\nRUN cat /there/a > /b && echo done\n",
        "dir/a": b"content",
        "dir/empty": b"",
        "unused": b"x",
    }
    built = await bench.buildkit.build(files, attrs={"filename": "Dockerfile"})
    assert built.output == "done\n"
    assert built.response["containerimage.config.digest"] == bench.engine.images.get("made:1").id
    async with bench.root(bench.built()) as root:
        assert (root / "b").read_text() == "content"
        assert (root / "there/empty").read_text() == ""
    assert bench.left_behind() == []


async def test_progress_names_each_step_with_its_place_and_says_what_was_cached(bench: Workbench) -> None:
    files = {"Dockerfile": b"FROM base:1 AS one\nENV A=1\nRUN echo 1\nFROM one\nWORKDIR /w\nCOPY a .\n", "a": b"1"}
    first = (await bench.buildkit.build(files)).vertexes
    assert [name for name in first if name.startswith(("[one", "[stage"))] == [
        "[one 1/2] FROM docker.io/library/base:1",
        "[one 2/2] RUN echo 1",
        "[stage-1 1/2] WORKDIR /w",
        "[stage-1 2/2] COPY a .",
    ]
    assert all(vertex.completed >= vertex.started > 0 and not vertex.cached for vertex in first.values())
    again = (await bench.buildkit.build(files)).vertexes
    assert [name for name, vertex in again.items() if vertex.cached] == [
        "[one 2/2] RUN echo 1", "[stage-1 1/2] WORKDIR /w", "[stage-1 2/2] COPY a .",
    ]  # fmt: skip


async def test_only_what_is_used_is_asked_for_and_only_what_changed_is_sent(bench: Workbench) -> None:
    dockerfile = Folder({"Dockerfile": b"FROM base:1\nCOPY src /src\n"})
    files = {"src/a": b"1", "src/b": b"2", "other/c": b"3"}
    first = Folder(files)
    await bench.buildkit.build(first, dockerfile=dockerfile)
    assert sorted(first.asked) == ["src/a", "src/b"]
    second = Folder({**files, "src/b": b"changed"})
    built = await bench.buildkit.build(second, dockerfile=dockerfile)
    assert second.asked == ["src/b"]
    assert not built.vertexes["[2/2] COPY src /src"].cached
    async with bench.root(bench.built()) as root:
        assert (root / "src/a").read_text() + (root / "src/b").read_text() == "1changed"


async def test_what_is_known_of_a_folder_outlives_a_restart(opened: Opened) -> None:
    files = {"Dockerfile": b"FROM base:1\nCOPY a /a\n", "a": b"1"}
    async with opened() as bench:
        await bench.buildkit.build(files)
    async with opened() as bench:
        again = Folder(files)
        built = await bench.buildkit.build(again)
        assert again.asked == ["Dockerfile"]
        assert built.vertexes["[2/2] COPY a /a"].cached


async def test_ignored_files_do_not_come(bench: Workbench) -> None:
    folder = Folder({"Dockerfile": b"FROM base:1\nCOPY . /x\n", ".dockerignore": b"*.log\n", "a": b"", "b.log": b"no"})
    await bench.buildkit.build(folder)
    assert "b.log" not in folder.asked
    async with bench.root(bench.built()) as root:
        assert sorted(path.name for path in (root / "x").iterdir()) == [".dockerignore", "Dockerfile", "a"]


async def test_a_failure_shows_its_lines_of_the_dockerfile(bench: Workbench) -> None:
    text = b"FROM base:1\n\nRUN echo before; \\\n  exit 3\n"
    with pytest.raises(CallFailed) as caught:
        await bench.buildkit.build({"Dockerfile": text})
    command = "/bin/sh -c echo before;   exit 3"
    assert caught.value.message == f'process "{command}" did not complete successfully: exit code: 3'


async def test_a_mistake_in_the_dockerfile_is_told_as_it_is(bench: Workbench) -> None:
    with pytest.raises(CallFailed, match="unknown instruction: RUNN"):
        await bench.buildkit.build({"Dockerfile": b"FROM base:1\nRUNN x\n"})


async def test_the_classic_builder_finds_the_steps_of_this_one_in_the_cache(bench: Workbench) -> None:
    text = b"FROM base:1\nCOPY a /a\nRUN echo built\n"
    await bench.buildkit.build({"Dockerfile": text, "a": b"1"})
    assert (await bench.build(text.decode(), {"a": b"1"})).done == []


async def test_an_option_that_is_not_known_is_refused_by_name(bench: Workbench) -> None:
    with pytest.raises(CallFailed, match="the build option surprise is not supported"):
        await bench.buildkit.build({"Dockerfile": b"FROM base:1\n"}, attrs={"surprise": "1"})


async def test_secrets_are_files_or_variables_and_stay_nowhere(bench: Workbench) -> None:
    text = (
        b"FROM base:1\n"
        b"RUN --mount=type=secret,id=token cat /run/secrets/token && stat -c '%a %u' /run/secrets/token > /mode\n"
        b"RUN --mount=type=secret,id=token,target=/t,mode=0440,uid=1000 cat /t && stat -c '%a %u' /t >> /mode\n"
        b"RUN --mount=type=secret,id=token,env=TOKEN echo is $TOKEN\n"
        b"RUN --mount=type=secret,id=none test ! -e /run/secrets/none\n"
    )
    built = await bench.buildkit.build({"Dockerfile": text}, secret={"token": b"hush\n"})
    assert built.output == "hush\nhush\nis hush\n"
    async with bench.root(bench.built()) as root:
        assert (root / "mode").read_text() == "400 0\n440 1000\n"
        assert not (root / "run/secrets").exists() and not (root / "t").exists()
    again = await bench.buildkit.build({"Dockerfile": text}, secret={"token": b"other\n"})
    assert again.output == ""
    assert bench.left_behind() == []


async def test_a_secret_that_is_required_and_missing_fails_by_name(bench: Workbench) -> None:
    text = b"FROM base:1\nRUN --mount=type=secret,id=none,required true\n"
    with pytest.raises(CallFailed, match="secret none: not found"):
        await bench.buildkit.build({"Dockerfile": text})


async def test_a_cache_may_begin_with_what_a_stage_has(bench: Workbench) -> None:
    text = (
        b"FROM base:1 AS seed\nRUN mkdir /seed && echo s > /seed/a\n"
        b"FROM base:1\nRUN --mount=type=cache,target=/c,from=seed,source=/seed cat /c/a && echo more >> /c/a\n"
    )
    assert (await bench.buildkit.build({"Dockerfile": text})).output == "s\n"
    again = await bench.buildkit.build({"Dockerfile": text}, attrs={"no-cache": ""})
    assert again.output == "s\nmore\n"


async def test_what_needs_leave_is_refused_without_it(bench: Workbench) -> None:
    insecure = {"Dockerfile": b"FROM base:1\nRUN --security=insecure grep CapEff /proc/self/status > /caps\n"}
    with pytest.raises(CallFailed, match=r"security\.insecure is not allowed"):
        await bench.buildkit.build(insecure)
    await bench.buildkit.build(insecure, entitlements=("security.insecure",))
    with pytest.raises(CallFailed, match=r"network\.host is not allowed"):
        await bench.buildkit.build({"Dockerfile": b"FROM base:1\nRUN --network=host true\n"})


async def test_a_repository_is_a_context_and_so_is_an_archive_behind_an_address(
    bench: Workbench, tmp_path: Path
) -> None:
    files = {"Dockerfile": b"FROM base:1\nCOPY . /all\n"}
    with git_server(tmp_path / "git", {"Dockerfile": files["Dockerfile"].decode()}) as address:
        await bench.buildkit.build({}, attrs={"context": f"{address}/repo.git#main"})
        async with bench.root(bench.built()) as root:
            assert (root / "all/file").read_text() == "second"
            assert not (root / "all/.git").exists()
    async with served({"/context.tar.gz": gzip.compress(context(files))}) as address:
        await bench.buildkit.build({}, attrs={"context": f"{address}/context.tar.gz"})
        async with bench.root(bench.built()) as root:
            assert sorted(path.name for path in (root / "all").iterdir()) == ["Dockerfile"]
    assert bench.left_behind() == []


async def test_findings_are_warnings_or_errors_as_the_dockerfile_says(bench: Workbench) -> None:
    text = b"FROM base:1 AS One\nCMD x\n"
    built = await bench.buildkit.build({"Dockerfile": text})
    warnings = [warning for news in built.news for warning in news.warnings]
    assert [warning.short.decode().split(":")[0] for warning in warnings] == ["StageNameCasing", "JSONArgsRecommended"]
    with pytest.raises(CallFailed, match="lint violation found for rules: JSONArgsRecommended, StageNameCasing"):
        await bench.buildkit.build({"Dockerfile": b"# check=error=true\n" + text})


async def test_a_stage_may_stand_on_a_named_folder(bench: Workbench) -> None:
    folder = Folder({"etc/made": b"by hand", "a": b"1"})
    await bench.buildkit.build(
        {"Dockerfile": b"FROM root\nENV A=1\n"}, folders={"root": folder}, attrs={"context:root": "local:root"}
    )
    async with bench.root(bench.built()) as root:
        assert (root / "etc/made").read_text() == "by hand"


async def test_stages_that_do_not_need_each_other_run_side_by_side(bench: Workbench) -> None:
    meeting = b"--mount=type=cache,target=/meet"
    wait = b"i=0; until test -e /meet/%s; do sleep 0.05; i=$((i+1)); test $i -lt 400 || exit 1; done"
    text = (
        b"FROM base:1 AS one\nRUN " + meeting + b" touch /meet/one; " + wait % b"two" + b"; echo 1 > /one\n"
        b"FROM base:1 AS two\nRUN " + meeting + b" touch /meet/two; " + wait % b"one" + b"; echo 2 > /two\n"
        b"FROM base:1\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
    )
    await bench.buildkit.build({"Dockerfile": text})
    async with bench.root(bench.built()) as root:
        assert (root / "one").exists() and (root / "two").exists()


async def test_the_same_step_of_builds_at_the_same_time_runs_once(bench: Workbench) -> None:
    text = b"FROM base:1\nRUN --mount=type=cache,target=/c echo x >> /c/count; sleep 0.3; cp /c/count /count\n"
    both = [bench.buildkit.build({"Dockerfile": text}), BuildKitClient(bench.engine.socket).build({"Dockerfile": text})]
    first, second = await asyncio.gather(*both)
    assert first.response == second.response
    async with bench.root(bench.built()) as root:
        assert (root / "count").read_text() == "x\n"


async def test_a_client_that_leaves_ends_its_build(bench: Workbench) -> None:
    started = asyncio.Event()
    text = b"FROM base:1\nRUN --mount=type=secret,id=s sleep 60\n"

    class Asked(dict[str, bytes]):
        def __contains__(self, name: object) -> bool:
            started.set()
            return True

        def __getitem__(self, name: str) -> bytes:
            return b"x"

    build = asyncio.ensure_future(bench.buildkit.build({"Dockerfile": text}, secret=Asked(s=b"x")))
    await started.wait()
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build
    async with asyncio.timeout(20):
        while bench.left_behind():
            await asyncio.to_thread(Path("/proc/mounts").read_text)


async def test_what_compose_says_of_its_output_is_understood_and_the_unknown_refused(bench: Workbench) -> None:
    files = {"Dockerfile": b"FROM base:1\n"}
    await bench.buildkit.build(files, exporter=Exporter("moby", {"name": "made:1", "load": "true", "push": "false"}))
    assert bench.engine.images.find("made:1") is not None
    with pytest.raises(CallFailed, match="output type=moby: surprise=1 is not supported"):
        await bench.buildkit.build(files, exporter=Exporter("moby", {"surprise": "1"}))
