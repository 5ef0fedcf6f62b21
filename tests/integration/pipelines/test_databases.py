from __future__ import annotations

from pathlib import Path

from fakes.executor import FakeExecutor, script
from pipeline_room import make_room
from riad.kernel.db import Base, Database
from riad.pipelines.status import Status

REPORT = b'<testsuite name="s"><testcase name="ok"/></testsuite>'


async def test_a_pipeline_lives_and_dies_on_every_database(database: Database, tmp_path: Path):
    Base.metadata.create_all(database.engine)
    executor = FakeExecutor()
    executor.program = script(
        b"x\n",
        code=1,
        files={
            "/builds/demo/app/r.xml": REPORT,
            "/builds/demo/app/a": b"x",
            "/builds/demo/app/b.env": b"K=v\n",
        },
    )
    room = make_room(tmp_path, executor, database=database)
    pipeline = room.made("""
a:
  stage: build
  script: [x]
  retry: 1
  artifacts: {paths: [a], when: always, reports: {junit: r.xml, dotenv: b.env}}
b: {script: [x], needs: [a], environment: production}
""")
    async with room.running():
        assert (await room.finished(pipeline)).status is Status.FAILED
        executor.program = script()
        room.service.retry_pipeline(pipeline, user_id=5)
        assert (await room.finished(pipeline)).status is Status.SUCCESS
        assert len(room.service.pipeline(pipeline).history) == 2
        await room.until(lambda: not executor.boxes)
    assert room.service.pipelines(1, status="success")[1] == 1
    room.service.delete_pipeline(pipeline)
    assert room.service.pipelines(1)[1] == 0
