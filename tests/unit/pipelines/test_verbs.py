from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.executor import FakeBox, script, until_stopped
from pipeline_room import ADA, Room
from riad.kernel.clock import FixedClock, SystemClock
from riad.kernel.faults import Fault, Kind
from riad.kernel.outbox import EventRow
from riad.pipelines import project_variables
from riad.pipelines.expire import expire
from riad.pipelines.project_variables import VariableFields
from riad.pipelines.status import Status

JOB = "job: {script: [x]}"


def test_a_broken_file_makes_a_failed_pipeline_that_tells_every_line(room: Room):
    view = room.service.pipeline(room.made("a:\n  scirpt: x\nb:\n  script: y\n  stage: nope\n"))
    assert view.status is Status.FAILED
    assert view.jobs == ()
    assert view.yaml_errors == (
        "line 2: a/scirpt: unknown key `scirpt` (did you mean `script`?)\n"
        "line 5: b/stage: there is no stage `nope`; the stages are build, test, deploy"
    )


def test_a_commit_without_a_file_makes_no_pipeline(room: Room):
    sha = room.source.add({"README.md": "x"})
    assert room.service.pushed(project_id=1, ref="refs/heads/main", before="0" * 40, after=sha, user_id=ADA.id) is None


@pytest.mark.parametrize(("message", "options"), [("x [ci skip]", ()), ("[skip-ci] x", ()), ("x", ("ci.skip",))])
def test_whoever_says_so_skips_the_pipeline(room: Room, message, options):
    made = room.push(JOB, message=message, options=options)
    view = room.service.pipeline(made)
    assert (view.status, view.jobs) == (Status.SKIPPED, ())


def test_one_push_told_twice_makes_one_pipeline(room: Room):
    first = room.push(JOB, origin="event 7")
    sha = room.source.branches["main"]
    again = room.service.pushed(
        project_id=1, ref="refs/heads/main", before="0" * 40, after=sha, user_id=ADA.id, origin="event 7"
    )
    assert first == again
    assert room.service.pipelines(1)[1] == 1


async def test_a_newer_push_cancels_older_pipelines_unless_a_job_has_started_that_must_not_be_cut(room: Room):
    yaml = "a: {stage: build, script: [x], interruptible: %s}\nb: {script: [y]}"
    room.executor.program = until_stopped(b"working\n")
    waiting = room.made(yaml % "false")
    running = room.made(yaml % "true")
    assert room.service.pipeline(waiting).status is Status.CANCELED
    async with room.running():
        await room.until(lambda: "working" in room.log("a"))
        kept = room.made(yaml % "false")
        assert (await room.finished(running)).status is Status.CANCELED
        await room.until(lambda: "working" in room.log("a"))
        newest = room.made(yaml % "true")
        assert room.service.pipeline(kept).status is Status.RUNNING
        room.service.cancel_pipeline(kept)
        room.service.cancel_pipeline(newest)
        await room.finished(newest)


def test_a_deleted_branch_makes_no_pipeline(room: Room):
    assert room.service.pushed(project_id=1, ref="refs/heads/x", before="a" * 40, after="0" * 40, user_id=1) is None


def test_changes_compares_with_the_commit_before_the_push(room: Room):
    yaml = "docs: {script: [x], rules: [{changes: [docs/*]}]}\nall: {script: [x]}"
    room.made(yaml)
    names = [job.name for job in room.service.pipeline(room.made(yaml, {"src/a.py": "1"})).jobs]
    assert names == ["all"]
    names = [job.name for job in room.service.pipeline(room.made(yaml, {"docs/a.md": "1"})).jobs]
    assert names == ["docs", "all"]


def test_a_pipeline_asked_for_that_would_be_empty_says_why(room: Room):
    room.source.add({".gitlab-ci.yml": "a: {script: [x], rules: [{when: never}]}"})
    with pytest.raises(Fault, match="the rules leave every job out"):
        room.service.create(project_id=1, ref="main", source="api", user_id=ADA.id)
    with pytest.raises(Fault, match="no branch or tag `nope`"):
        room.service.create(project_id=1, ref="nope", source="api", user_id=ADA.id)


async def test_variables_win_in_gitlabs_order_and_files_become_paths(room: Room):
    with room.database.write() as session:
        for owner, owner_id, key, value in (
            ("group", 7, "A", "group"),
            ("group", 7, "B", "group"),
            ("project", 1, "B", "project"),
            ("project", 1, "C", "project"),
        ):
            project_variables.create(session, owner, owner_id, VariableFields(key, value))
        project_variables.create(session, "project", 1, VariableFields("CERT", "-----", variable_type="file"))
        project_variables.create(session, "project", 1, VariableFields("PW", "hunter2hunter2", masked=True))
        project_variables.create(session, "project", 1, VariableFields("ONLY", "x", environment_scope="prod"))
    seen: dict[str, str] = {}

    async def program(box: FakeBox) -> int:
        seen.update(box.order.environ)
        assert box.files["/builds/demo/app.tmp/CERT"] == b"-----"
        box.write(b"the password is hunter2hunter2\n")
        return 0

    room.executor.program = program
    room.source.add({".gitlab-ci.yml": "variables: {A: file, B: file, C: file, D: $A-$C}\njob: {script: [x]}"})
    view = room.service.create(
        project_id=1, ref="main", source="api", user_id=ADA.id, variables=[{"key": "C", "value": "asked"}]
    )
    async with room.running():
        assert (await room.finished(view.id)).status is Status.SUCCESS, room.log("job")
    assert [seen[key] for key in "ABCD"] == ["group", "project", "asked", "group-asked"]
    assert seen["CERT"] == "/builds/demo/app.tmp/CERT"
    assert "ONLY" not in seen
    assert seen["CI_COMMIT_BRANCH"] == "main"
    assert seen["CI_REGISTRY_IMAGE"] == "riad.test:8080/demo/app"
    assert seen["GITLAB_USER_LOGIN"] == "ada"
    assert seen["CI_PIPELINE_SOURCE"] == "api"
    assert "the password is [MASKED]" in room.log("job")


def test_a_variable_that_cannot_be_masked_is_refused(room: Room):
    with room.database.write() as session, pytest.raises(Fault) as fault:
        project_variables.create(session, "project", 1, VariableFields("bad name", "short", masked=True))
    assert [finding.path for finding in fault.value.findings] == ["key", "value"]


async def test_retrying_a_pipeline_runs_what_failed_and_what_was_skipped(room: Room):
    room.executor.program = script(code=1)
    pipeline = room.made("stages: [a, b]\na: {stage: a, script: [x]}\nb: {stage: b, script: [x]}")
    async with room.running():
        assert (await room.finished(pipeline)).status is Status.FAILED
        room.executor.program = script()
        room.service.retry_pipeline(pipeline, user_id=ADA.id)
        assert (await room.finished(pipeline)).status is Status.SUCCESS
    view = room.service.pipeline(pipeline)
    assert ([job.name for job in view.jobs], [job.name for job in view.history]) == (["a", "b"], ["a"])


def test_cancelling_what_waits_needs_no_runner(room: Room):
    pipeline = room.made("stages: [a, b]\na: {stage: a, script: [x]}\nb: {stage: b, script: [x]}")
    room.service.cancel_pipeline(pipeline)
    view = room.service.pipeline(pipeline)
    assert (view.status, {job.status for job in view.jobs}) == (Status.CANCELED, {Status.CANCELED})
    room.service.cancel_pipeline(pipeline)


def test_only_what_waits_can_be_played_and_only_what_has_ended_retried(room: Room):
    job = room.service.pipeline(room.made(JOB)).jobs[0]
    with pytest.raises(Fault) as played:
        room.service.play(job.id, user_id=1)
    with pytest.raises(Fault) as retried:
        room.service.retry_job(job.id, user_id=1)
    assert {played.value.kind, retried.value.kind} == {Kind.CONFLICT}


def test_a_tag_that_no_runner_has_is_told(room: Room):
    job = room.service.pipeline(room.made("job: {script: [x], tags: [docker, gpu]}")).jobs[0]
    assert "no runner has the tag gpu" in (room.service.stuck(job) or "")


async def test_a_job_whose_tag_nobody_has_is_not_claimed(room: Room):
    pipeline = room.made("a: {script: [x], tags: [gpu]}\nb: {script: [x], tags: [docker]}")
    async with room.running():
        await room.until(lambda: room.job("b").status is Status.SUCCESS)
    assert room.service.pipeline(pipeline).jobs[0].status is Status.PENDING


async def test_expired_artifacts_go_and_kept_ones_stay(room: Room):
    room.executor.program = script(files={"/builds/demo/app/a": b"x"})
    pipeline = room.made("""
short: {script: [x], artifacts: {paths: [a], expire_in: 1 hour}}
long: {script: [x], artifacts: {paths: [a], expire_in: never}}
""")
    async with room.running():
        await room.finished(pipeline)
    later = FixedClock(SystemClock().now() + timedelta(hours=2))
    assert expire(room.database, room.parts.blobs, clock=later) == 1
    with pytest.raises(Fault) as fault:
        room.service.archive(room.job("short").id)
    assert fault.value.kind is Kind.NOT_FOUND
    row, file = room.service.archive(room.job("long").id)
    file.close()
    assert row.filename == "artifacts.zip"


async def test_a_finished_pipeline_and_its_jobs_are_announced(room: Room):
    pipeline = room.made("job: {script: [x], environment: {name: production, url: 'http://$CI_PROJECT_NAME.x'}}")
    async with room.running():
        await room.finished(pipeline)
    with room.database.read() as session:
        told = {event.kind: event.payload for event in session.query(EventRow)}
    assert told["pipelines.pipeline_finished"] == {"pipeline_id": pipeline, "project_id": 1, "status": "success"}
    assert told["pipelines.job_finished"]["environment"] == "production"
    assert room.job("job").environment_url == "http://app.x"


async def test_a_deleted_pipeline_leaves_nothing(room: Room):
    room.executor.program = script(files={"/builds/demo/app/a": b"x"})
    pipeline = room.made("job: {script: [x], artifacts: {paths: [a]}}")
    async with room.running():
        await room.finished(pipeline)
    job = room.job("job").id
    room.service.delete_pipeline(pipeline)
    assert room.service.pipelines(1) == ([], 0)
    assert room.service.trace(job).size == 0
    assert room.parts.blobs.size(f"artifacts/1/{job}/archive.zip") is None


async def test_a_cache_is_found_again_by_the_next_pipeline(room: Room):
    found: list[bool] = []

    async def program(box: FakeBox) -> int:
        found.append("/builds/demo/app/deps/a" in box.files)
        box.files["/builds/demo/app/deps/a"] = b"x"
        return 0

    room.executor.program = program
    async with room.running():
        for _ in range(2):
            await room.finished(room.made("job: {script: [x], cache: {key: $CI_COMMIT_REF_SLUG, paths: [deps/]}}"))
    assert found == [False, True]


async def test_at_most_so_many_jobs_run_at_once_oldest_first(room: Room):
    running: list[str] = []
    most = 0

    async def program(box: FakeBox) -> int:
        nonlocal most
        running.append(box.order.environ["CI_JOB_NAME"])
        most = max(most, sum(b.life.name == "RUNNING" for b in room.executor.boxes.values()))
        return 0

    room.executor.program = program
    pipeline = room.made("\n".join(f"j{n}: {{script: [x]}}" for n in range(6)))
    async with room.running():
        await room.finished(pipeline)
    assert most <= 2
    assert running[:2] in (["j0", "j1"], ["j1", "j0"])


async def test_a_delayed_job_starts_by_itself(room: Room):
    pipeline = room.made("job: {script: [x], when: delayed, start_in: 1 second}")
    assert room.job("job").status is Status.SCHEDULED
    async with room.running():
        assert (await room.finished(pipeline)).status is Status.SUCCESS


def test_lint_tells_what_a_text_would_do(room: Room):
    room.source.add({".gitlab-ci.yml": JOB})
    good = room.service.lint(project_id=1, content="a: {script: [x]}", ref=None, user_id=None)
    bad = room.service.lint(project_id=1, content="a: {scripd: [x]}", ref=None, user_id=None)
    assert good.valid and good.plan and [job.name for job in good.plan.jobs] == ["a"]
    assert bad.errors == ("line 1: a/scripd: unknown key `scripd` (did you mean `script`?)",)


@pytest.mark.parametrize("step", range(1, 14))
async def test_wherever_the_server_ends_the_pipeline_goes_on_to_its_end(room: Room, step: int):
    """The runner is cut off after its nth write to the log, and a new one takes over."""
    room.executor.program = script(b"out\n", files={"/builds/demo/app/a": b"x"})
    pipeline = room.made("job: {script: [x], after_script: [y], artifacts: {paths: [a]}}")
    append, written = room.parts.traces.append, 0

    def append_and_cut(job_id: int, data: bytes) -> None:
        nonlocal written
        append(job_id, data)
        written += 1
        if written == step:
            first.cancel()

    room.parts.traces.append = append_and_cut  # type: ignore[method-assign]
    first = asyncio.create_task(room.runner.run())
    await room.until(lambda: first.done() or room.service.pipeline(pipeline).finished_at is not None)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    room.parts.traces.append = append  # type: ignore[method-assign]
    room.restarted()
    async with room.running():
        view = await room.finished(pipeline)
        await room.until(lambda: not room.executor.boxes and not room.tokens.live)
    assert view.status is Status.SUCCESS, room.log("job")
    log = room.log("job")
    assert (log.count("Job succeeded"), log.count("out\n")) == (1, 2), log
    assert view.history == ()


def test_views_are_values(room: Room):
    view = room.service.pipeline(room.made(JOB))
    assert replace(view) == view


def test_a_deleted_project_leaves_neither_secrets_nor_caches(room: Room):
    with room.database.write() as session:
        for owner_id in (1, 2):
            project_variables.create(session, "project", owner_id, VariableFields("KEY", "secret"))
    for key in ("caches/1/a.zip", "caches/2/a.zip"):
        with room.parts.blobs.write(key) as file:
            file.write(b"x")
    room.service.forget_project(1)
    with room.database.read() as session:
        assert [len(project_variables.listed(session, "project", number)) for number in (1, 2)] == [0, 1]
    assert [room.parts.blobs.size(f"caches/{number}/a.zip") for number in (1, 2)] == [None, 1]


def test_a_cache_that_no_job_has_asked_for_in_a_month_goes(room: Room):
    with room.parts.blobs.write("caches/1/a.zip") as file:
        file.write(b"x")
    for days, left in ((29, 1), (31, None)):
        expire(room.database, room.parts.blobs, clock=FixedClock(SystemClock().now() + timedelta(days=days)))
        assert room.parts.blobs.size("caches/1/a.zip") == left
