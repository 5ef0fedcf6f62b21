from __future__ import annotations

import asyncio

from fakes.executor import FakeBox, script, until_stopped
from riad.kernel.faults import unavailable
from riad.pipelines.runner import job_run
from riad.pipelines.status import Status

TEST_DEPLOY = """
stages: [test, deploy]
test: {stage: test, script: [pytest]}
deploy: {stage: deploy, script: [ship]}
"""


async def test_a_pushed_pipeline_runs_stage_after_stage_to_success(room):
    pipeline = room.made(TEST_DEPLOY)
    async with room.running():
        view = await room.finished(pipeline)
    assert view.status is Status.SUCCESS
    test, deploy = view.jobs
    assert test.finished_at <= deploy.started_at
    assert "Job succeeded" in room.log("deploy")


async def test_a_failed_job_names_its_exit_code_and_skips_later_stages(room):
    room.executor.program = script(b"boom\n", code=3)
    pipeline = room.made(TEST_DEPLOY)
    async with room.running():
        view = await room.finished(pipeline)
    assert view.status is Status.FAILED
    assert [job.status for job in view.jobs] == [Status.FAILED, Status.SKIPPED]
    assert view.jobs[0].exit_code == 3
    assert view.jobs[0].failure_reason == "script_failure"
    assert "boom" in room.log("test")
    assert "exit code 3" in room.log("test")


async def test_a_cancelled_running_job_is_stopped_and_its_after_script_still_runs(room):
    async def program(box: FakeBox) -> int:
        return await (until_stopped(b"working\n") if box.starts == 1 else script(b"tidied\n"))(box)

    room.executor.program = program
    pipeline = room.made("job: {script: [sleep 100], after_script: [tidy]}")
    async with room.running():
        await room.until(lambda: "working" in room.log("job"))
        room.service.cancel_pipeline(pipeline)
        view = await room.finished(pipeline)
    assert view.status is Status.CANCELED
    assert "tidied" in room.log("job")
    assert "Job canceled" in room.log("job")


async def test_secrets_never_reach_the_log_even_cut_in_two(room):
    async def program(box: FakeBox) -> int:
        token = box.order.environ["CI_JOB_TOKEN"].encode()
        for piece in (b"token=" + token[:7], token[7:12], token[12:] + b"!\n"):
            box.write(piece)
            await asyncio.sleep(0)
        return 0

    room.executor.program = program
    pipeline = room.made("job: {script: [leak]}")
    async with room.running():
        await room.finished(pipeline)
    assert "token=[MASKED]!" in room.log("job")
    assert "rjob-secret" not in room.log("job")


async def test_artifacts_and_dotenv_reach_the_jobs_after(room):
    async def program(box: FakeBox) -> int:
        if box.order.environ["CI_JOB_NAME"] == "make":
            box.files["/builds/demo/app/out/a.txt"] = b"made"
            box.files["/builds/demo/app/out/secret.key"] = b"no"
            box.files["/builds/demo/app/build.env"] = b"VERSION=1.2.3\n"
        else:
            assert box.files["/builds/demo/app/out/a.txt"] == b"made"
            assert "/builds/demo/app/out/secret.key" not in box.files
            assert box.order.environ["VERSION"] == "1.2.3"
        return 0

    room.executor.program = program
    pipeline = room.made("""
make:
  stage: build
  script: [make]
  artifacts: {paths: [out/], exclude: ["**/*.key"], reports: {dotenv: build.env}}
use: {stage: test, script: [use]}
""")
    async with room.running():
        view = await room.finished(pipeline)
    assert view.status is Status.SUCCESS, room.log("use")
    assert room.job("make").artifacts[0].filename == "artifacts.zip"


async def test_a_junit_report_is_read_even_when_the_tests_fail(room):
    report = (
        b'<testsuite name="s"><testcase classname="c" name="t"><failure message="no">x</failure></testcase></testsuite>'
    )
    room.executor.program = script(code=1, files={"/builds/demo/app/report.xml": report})
    pipeline = room.made("test: {script: [pytest], artifacts: {reports: {junit: report.xml}}}")
    async with room.running():
        await room.finished(pipeline)
    found = room.service.test_report(pipeline)
    assert (found.total, found.count("failed")) == (1, 1)
    assert found.failures[0].name == "t"


async def test_retry_tries_again_at_most_as_often_as_it_says(room):
    room.executor.program = script(code=1)
    pipeline = room.made("job: {script: [x], retry: 2}")
    async with room.running():
        view = await room.finished(pipeline)
    assert (len(view.history), view.jobs[0].attempt, view.status) == (2, 2, Status.FAILED)


async def test_a_missing_image_fails_the_job_with_its_name(room):
    room.executor.missing = {"nope:1"}
    pipeline = room.made("job: {image: 'nope:1', script: [x]}")
    async with room.running():
        view = await room.finished(pipeline)
    assert view.jobs[0].failure_reason == "image_pull_failure"
    assert "nope:1" in view.jobs[0].failure_message


async def test_a_job_that_outlives_its_timeout_is_stopped(room):
    room.executor.program = until_stopped(b"slow\n")
    pipeline = room.made("job: {script: [x], timeout: 1 second}")
    async with room.running():
        view = await room.finished(pipeline)
    assert view.jobs[0].failure_reason == "job_execution_timeout"
    assert "timeout of 1 s" in view.jobs[0].failure_message


async def test_a_restarted_server_goes_on_with_a_running_job_and_its_log(room):
    go = asyncio.Event()

    async def program(box: FakeBox) -> int:
        box.write(b"first\n")
        await go.wait()
        box.write(b"second\n")
        return 0

    room.executor.program = program
    pipeline = room.made("job: {script: [x]}")
    async with room.running():
        await room.until(lambda: "first" in room.log("job"))
    room.restarted()
    go.set()
    async with room.running():
        view = await room.finished(pipeline)
    assert view.status is Status.SUCCESS
    assert (room.log("job").count("first"), room.log("job").count("second")) == (1, 1)
    assert room.executor.boxes == {} or all(box.starts == 1 for box in room.executor.boxes.values())


async def test_a_job_whose_box_vanished_is_tried_once_more(room):
    async def program(box: FakeBox) -> int:
        return await (until_stopped(b"working\n") if box.order.environ["CI_JOB_ID"] == "1" else script(b"done\n"))(box)

    room.executor.program = program
    pipeline = room.made("job: {script: [x]}")
    async with room.running():
        await room.until(lambda: "working" in room.log("job"))
    for name in list(room.executor.boxes):
        room.executor.lose(name)
    room.restarted()
    async with room.running():
        view = await room.finished(pipeline)
    assert view.status is Status.SUCCESS
    assert view.history[0].failure_reason == "runner_system_failure"


async def test_a_job_survives_an_engine_that_goes_away_and_comes_back(room):
    go = asyncio.Event()

    async def program(box: FakeBox) -> int:
        box.write(b"before\n")
        await go.wait()
        box.write(b"after\n")
        return 0

    room.executor.program = program
    pipeline = room.made("job: {script: [x]}")
    async with room.running():
        await room.until(lambda: "before" in room.log("job"))
        room.executor.away()
        go.set()
        await asyncio.sleep(0.3)
        room.executor.back()
        view = await room.finished(pipeline)
    assert view.status is Status.SUCCESS
    assert (room.log("job").count("before"), room.log("job").count("after")) == (1, 1)


async def test_what_a_job_leaves_behind_is_removed(room):
    pipeline = room.made("job: {script: [x]}")
    async with room.running():
        await room.finished(pipeline)
        await room.until(lambda: not room.executor.boxes and not room.tokens.live)


async def test_a_jobs_token_ends_with_it_even_while_its_box_cannot_be_removed(room, monkeypatch):
    monkeypatch.setattr("riad.pipelines.runner.runner.CLEAN_PAUSE", 0.01)
    refused = 0
    remove = room.executor.remove

    async def stuck(name: str) -> None:
        nonlocal refused
        if room.job("job").finished_at is not None and refused < 30:
            refused += 1
            raise unavailable("the engine is away")
        await remove(name)

    pipeline = room.made("job: {script: [x]}")
    monkeypatch.setattr("riad.pipelines.runner.runner.CLEAN_PAUSE_MOST", 0.01)
    room.executor.remove = stuck
    async with room.running():
        await room.finished(pipeline)
        await room.until(lambda: not room.tokens.live)
        assert room.executor.boxes
        await room.until(lambda: not room.executor.boxes)


async def test_a_job_whose_end_could_not_be_written_down_is_taken_up_again(room, monkeypatch):
    monkeypatch.setattr("riad.pipelines.runner.runner.AGAIN_PAUSE", 0.01)
    finish, failures = job_run.finish.finish, iter([1, 2])

    def unlucky(*arguments: object) -> None:
        if next(failures, None):
            raise RuntimeError("database is locked")
        finish(*arguments)

    monkeypatch.setattr(job_run.finish, "finish", unlucky)
    pipeline = room.made("job: {script: [x]}")
    async with room.running():
        assert (await room.finished(pipeline)).status is Status.SUCCESS
        await room.until(lambda: not room.executor.boxes)


async def test_a_manual_job_waits_to_be_played_and_does_not_hold_up_the_rest(room):
    pipeline = room.made("""
stages: [a, b]
gate: {stage: a, script: [x], when: manual}
next: {stage: b, script: [y]}
""")
    async with room.running():
        view = await room.finished(pipeline)
        assert [job.status for job in view.jobs] == [Status.MANUAL, Status.SUCCESS]
        room.service.play(view.jobs[0].id, user_id=5)
        await room.until(lambda: room.job("gate").status is Status.SUCCESS)


async def test_the_log_stops_at_its_limit_and_says_so(room):
    room.executor.program = script(b"x" * 100_000 + b"\n")
    object.__setattr__(room.parts.limits, "trace", 20_000)
    pipeline = room.made("job: {script: [x]}")
    async with room.running():
        view = await room.finished(pipeline)
    assert view.status is Status.SUCCESS
    assert len(room.log("job")) < 21_000
    assert "the rest is not kept" in room.log("job")
