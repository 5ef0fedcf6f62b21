"""A Riad with people, projects, pipelines, releases and images in it, without runners: what the pages' tests show.

`demo/flask-hello` is private: `root` owns it, `dana` develops it, `sam` may not see it. Its third pipeline runs.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Session

import riad.ml.store  # noqa: F401 -- its tables are made
from fakes import registry_house
from riad.deploy import environments, releases
from riad.deploy.model import Kind, Origin, Release, ReleaseState, RolloutState, Settings
from riad.deploy.store import ReleaseRow, RolloutRow
from riad.forge import projects
from riad.forge.model import Project
from riad.forge.repositories import Repositories
from riad.identity import authenticate, groups, members, users
from riad.identity.model import Access, Principal, User, Visibility
from riad.identity.model import Kind as PrincipalKind
from riad.kernel.blobs import FolderBlobs
from riad.kernel.clock import FixedClock
from riad.kernel.db import Base, Database
from riad.oci import media
from riad.pipelines import project_variables
from riad.pipelines.project_variables import VariableFields
from riad.pipelines.status import Status
from riad.pipelines.store import ArtifactRow, JobRow, PipelineRow, TestCaseRow
from riad.pipelines.traces import Traces
from riad.registry import blobs as image_blobs
from riad.registry import manifests
from riad.registry.store import RepositoryRow
from riad.web.router import router
from riad.web.services import Services

PASSWORD = "correct-horse"
NOW = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)
APP = '''"""Says hello."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return "Hello, Docker!"  # <script>alert("never runs")</script>


@app.get("/health")
def health() -> str:
    return "ok"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
'''
DPKG = b"""Package: libssl3
Status: install ok installed
Source: openssl
Version: 3.0.15-1

Package: bash
Status: install ok installed
Version: 5.2.15-2
"""
IMAGE_CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-03-09T13:00:00Z",
    "config": {"Cmd": ["flask", "run", "--host", "0.0.0.0"], "ExposedPorts": {"5000/tcp": {}}, "User": "app"},
    "history": [
        {"created_by": "COPY requirements.txt app.py /app/", "created": "2026-03-09T13:00:00Z"},
        {"created_by": 'CMD ["flask" "run" "--host" "0.0.0.0"]', "empty_layer": True},
    ],
}
ADVISORY = {
    "id": "CVE-2026-0001",
    "summary": "openssl: reads beyond the end of a certificate",
    "database_specific": {"severity": "HIGH"},
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.16-1"}]}],
        }
    ],
}
README = """# Flask hello

A **small** application that answers `Hello, Docker!`, and how it gets to its address.

| stage | what it does |
|---|---|
| test | runs pytest |
| build | makes the image |
| deploy | rolls it out |

See [the application](app.py), or [what it must not do](javascript:alert(1)).

<script>alert("never runs")</script>

```sh
git push
```
"""
PIPELINE = """stages: [test, build, deploy]

test:
  stage: test
  image: python:3.11
  script:
    - pip install --quiet -r requirements.txt pytest
    - pytest --junitxml=report.xml
  artifacts:
    reports:
      junit: report.xml
"""
DOCKERFILE = """FROM python:3.11
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
EXPOSE 5000
CMD ["python", "app.py"]
"""
LOG = (
    "\x1b[0KRunning with Riad 0.1.0\x1b[0;m\n"
    "section_start:1773066000:prepare_executor\r\x1b[0K\x1b[0K\x1b[36;1mPreparing the container\x1b[0;m\n"
    "Using image \x1b[32mpython:3.11\x1b[0m found locally\n"
    "section_end:1773066002:prepare_executor\r\x1b[0K\n"
    "section_start:1773066002:get_sources[collapsed=true]\r\x1b[0K\x1b[36;1mGetting the sources\x1b[0;m\n"
    "Checked out \x1b[33m{sha}\x1b[0m as detached HEAD (main)\n"
    "section_end:1773066003:get_sources\r\x1b[0K\n"
    "section_start:1773066003:step_script\r\x1b[0K\x1b[36;1mRunning the script\x1b[0;m\n"
    "\x1b[32;1m$ pip install --quiet -r requirements.txt pytest\x1b[0;m\n"
    "\x1b[32;1m$ pytest --junitxml=report.xml\x1b[0;m\n"
    "\x1b[1m============================= test session starts ==============================\x1b[0m\n"
    "platform linux -- Python 3.11.2, pytest-8.3.4\ncollected 4 items\n\n"
    "test_app.py \x1b[32m.\x1b[0m\x1b[32m.\x1b[0m\x1b[31mF\x1b[0m\x1b[33ms\x1b[0m                           [100%]\n\n"
    "\x1b[38;5;208mDeprecationWarning\x1b[0m: <b>not bold</b> & "
    "\x1b[48;2;40;60;90m\x1b[38;2;180;220;255mtruecolour\x1b[0m\n"
    "Downloading  10%\rDownloading  60%\rDownloading 100%\n"
    "\x1b[31;1m============== 1 failed, 2 passed, 1 skipped in 0.42s ==============\x1b[0m\n"
    "section_end:1773066011:step_script\r\x1b[0K\n"
    "\x1b[31;1mERROR: Job failed: exit code 1\x1b[0;m\n"
)
FAILURE = (
    "AssertionError: assert b'Hello, Docker?' == b'Hello, Docker!'\n\n"
    "    def test_hello():\n        client = app.test_client()\n"
    ">       assert client.get('/').data == b'Hello, Docker!'\n"
    "E       AssertionError: <Response> is not what it was\n\n"
    "test_app.py:9: AssertionError"
)


@dataclass(slots=True)
class Asked:
    """What the pages asked of the runners."""

    pipelines: list[dict[str, Any]] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class House:
    services: Services
    clock: FixedClock
    root: User
    dana: User
    sam: User
    project: Project
    asked: Asked
    shas: tuple[str, ...]
    jobs: dict[str, int]
    pipelines: tuple[int, ...]
    """Ids of the succeeded, the failed, the running and the broken one."""
    environment_id: int

    @property
    def database(self) -> Database:
        return self.services.database

    def app(self) -> FastAPI:
        made = FastAPI()
        made.include_router(router(self.services))
        return made


def build(folder: Path) -> House:
    database = Database(f"sqlite:///{folder}/riad.db")
    Base.metadata.create_all(database.engine)
    clock = FixedClock(NOW)
    repositories = Repositories(folder / "repositories")
    asked = Asked()
    services = Services(
        database=database,
        clock=clock,
        repositories=repositories,
        blobs=FolderBlobs(folder / "blobs"),
        traces=Traces(folder / "traces"),
        external_url="http://localhost:8080",
        domain="localhost",
        registry="localhost:8080",
        advisories=folder / "advisories.json",
        run_pipeline=lambda **wanted: _run(asked, wanted),
        wake_pipelines=lambda: asked.woken.append("pipelines"),
        wake_rollouts=lambda: asked.woken.append("rollouts"),
        version="0.1.0",
    )
    assert services.advisories is not None
    services.advisories.write_text(json.dumps(ADVISORY))
    with database.write() as session:
        root, dana, sam = _people(session, clock)
        project = _projects(session, repositories, root, clock)
        members.set(
            session, source="project", source_id=project.id, user_id=dana.id, access=Access.DEVELOPER, clock=clock
        )
    shas = _history(repositories.path(project.storage), folder / "work")
    with database.write() as session:
        jobs, pipelines = _pipelines(session, services, project, dana, shas)
        environment_id = _releases(session, project, dana, shas, pipelines, clock)
        _images(session, services, project, shas)
        _variables(session, project)
    return House(services, clock, root, dana, sam, project, asked, shas, jobs, pipelines, environment_id)


def _run(asked: Asked, wanted: dict[str, Any]) -> int:
    asked.pipelines.append(wanted)
    return 1


def _people(session: Session, clock: FixedClock) -> tuple[User, User, User]:
    root = users.create(session, username="root", name="Administrator", password=PASSWORD, is_admin=True, clock=clock)
    dana = users.create(session, username="dana", name="Dana Amrani", password=PASSWORD, clock=clock)
    sam = users.create(session, username="sam", name="Sam <b>Stranger</b>", password=PASSWORD, clock=clock)
    return root, dana, sam


def _projects(session: Session, repositories: Repositories, root: User, clock: FixedClock) -> Project:
    actor = Principal(user=root, kind=PrincipalKind.SESSION, scopes=authenticate.EVERYTHING)
    group = groups.create(session, actor, path="demo", clock=clock)
    made = [
        projects.create(
            session,
            actor,
            repositories=repositories,
            group=group,
            slug=slug,
            name=name,
            description=description,
            visibility=visibility,
            clock=clock,
        )
        for slug, name, description, visibility in (
            ("notebooks", "Notebooks", "", Visibility.PRIVATE),
            ("price-model", "Price model", "Predicts what a flat in Casablanca costs", Visibility.INTERNAL),
            ("handbook", "Handbook", "How we work, in plain words", Visibility.PUBLIC),
            ("flask-hello", "Flask hello", "Answers Hello, Docker! on a live URL", Visibility.PRIVATE),
        )
    ]
    return made[-1]


def _history(bare: Path, work: Path) -> tuple[str, ...]:
    """Four commits on main, a branch and a tag, made by git itself."""
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

    def git(*arguments: str, at: datetime | None = None, author: str = "Dana Amrani") -> str:
        moment = (at or NOW).isoformat()
        who = {
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": "dana@example.org",
            "GIT_COMMITTER_NAME": author,
            "GIT_COMMITTER_EMAIL": "dana@example.org",
            "GIT_AUTHOR_DATE": moment,
            "GIT_COMMITTER_DATE": moment,
        }
        done = subprocess.run(
            ["git", *arguments], cwd=work, env={**environ, **who}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    work.mkdir()
    git("init", "-q", "-b", "main")
    shas = []
    changes = (
        (NOW - timedelta(days=2), "Begin with an application that says hello", {"app.py": APP, "README.md": README}),
        (
            NOW - timedelta(days=1),
            "Build an image of it",
            {"Dockerfile": DOCKERFILE, "requirements.txt": "flask==3.0\n"},
        ),
        (
            NOW - timedelta(hours=3),
            "Test every push\n\nThe report names the test that failed,\nso that nobody has to search the log.",
            {".gitlab-ci.yml": PIPELINE, "tests/test_app.py": "from app import app\n", "logo.png": "\0PNG"},
        ),
        (
            NOW - timedelta(minutes=4),
            "Greet with a question mark, to see what a red pipeline looks like when a title is rather long",
            {"app.py": APP.replace('Docker!"', 'Docker?"').replace("/health", "/healthz")},
        ),
    )
    for at, message, files in changes:
        for name, text in files.items():
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text(text)
        git("add", ".")
        git("commit", "-q", "-m", message, at=at)
        shas.append(git("rev-parse", "HEAD"))
    git("tag", "-a", "v1.0", "-m", "The first one that people use", shas[1])
    git("branch", "feature/longer-greeting", shas[2])
    git("push", "-q", str(bare), "--all")
    git("push", "-q", str(bare), "--tags")
    return tuple(shas)


_JOBS = (
    ("lint", "test", 0),
    ("test", "test", 0),
    ("build", "build", 1),
    ("deploy", "deploy", 2),
    ("smoke", "deploy", 2),
)


def _pipelines(
    session: Session, services: Services, project: Project, user: User, shas: tuple[str, ...]
) -> tuple[dict[str, int], tuple[int, ...]]:
    outcomes = (
        (Status.SUCCESS, shas[1], timedelta(days=1), [Status.SUCCESS] * 4 + [Status.MANUAL]),
        (
            Status.FAILED,
            shas[3],
            timedelta(minutes=4),
            [Status.SUCCESS, Status.FAILED, Status.SKIPPED, Status.SKIPPED, Status.SKIPPED],
        ),
        (
            Status.RUNNING,
            shas[2],
            timedelta(minutes=1),
            [Status.SUCCESS, Status.SUCCESS, Status.RUNNING, Status.CREATED, Status.MANUAL],
        ),
    )
    jobs: dict[str, int] = {}
    ids = []
    for number, (status, sha, before, states) in enumerate(outcomes, start=1):
        began = NOW - before
        row = _pipeline(project, user, number, status, sha, began)
        session.add(row)
        session.flush()
        ids.append(row.id)
        for (name, stage, index), state in zip(_JOBS, states, strict=True):
            job = _job(row, name, stage, index, state, began, user)
            session.add(job)
            session.flush()
            jobs[f"{status}/{name}"] = job.id
            if state in (Status.SUCCESS, Status.FAILED):
                services.traces.append(job.id, LOG.format(sha=sha[:8]).encode())
            if state is Status.RUNNING:
                services.traces.append(job.id, LOG.format(sha=sha[:8]).encode()[:900])
    _tests(session, jobs["failed/test"])
    broken = _pipeline(project, user, 4, Status.FAILED, shas[2], NOW - timedelta(hours=2))
    broken.stages, broken.ref = [], "feature/longer-greeting"
    broken.yaml_errors = "line 7: test/scripts: unknown key; did you mean `script`?; line 3: test: `script` is missing"
    session.add(broken)
    session.flush()
    return jobs, (*ids, broken.id)


def _pipeline(project: Project, user: User, number: int, status: Status, sha: str, began: datetime) -> PipelineRow:
    over = status is not Status.RUNNING
    return PipelineRow(
        iid=number,
        project_id=project.id,
        ref="main",
        is_tag=False,
        sha=sha,
        before_sha="0" * 40,
        source="push",
        status=status,
        user_id=user.id,
        variables=[],
        stages=["test", "build", "deploy"],
        created_at=began,
        updated_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=73) if over else None,
    )


def _job(
    pipeline: PipelineRow, name: str, stage: str, index: int, state: Status, began: datetime, user: User
) -> JobRow:
    ran = state in (Status.SUCCESS, Status.FAILED, Status.RUNNING)
    over = state in (Status.SUCCESS, Status.FAILED)
    start = began + timedelta(seconds=20 * index + 1)
    plan = {"allow_failure": {"allowed": name == "lint", "exit_codes": []}, "tags": []}
    return JobRow(
        pipeline_id=pipeline.id,
        project_id=pipeline.project_id,
        name=name,
        stage=stage,
        stage_index=index,
        status=state,
        when="manual" if name == "smoke" else "on_success",
        allow_failure=name in ("lint", "smoke"),
        needs={"build": ["test"], "deploy": ["build", "lint"]}.get(name),
        plan=plan,
        user_id=user.id,
        failure_reason="script_failure" if state is Status.FAILED else None,
        exit_code=1 if state is Status.FAILED else None,
        environment="production" if name == "deploy" else None,
        created_at=began,
        queued_at=began,
        started_at=start if ran else None,
        finished_at=start + timedelta(seconds=9.4) if over else None,
    )


def _tests(session: Session, job_id: int) -> None:
    cases = (
        ("test_app", "test_hello", "failed", 0.031, FAILURE),
        ("test_app", "test_health", "success", 0.004, None),
        ("test_app", "test_headers", "success", 0.002, None),
        ("test_app", "test_on_windows", "skipped", 0.0, "only on Windows"),
    )
    for classname, name, status, seconds, output in cases:
        session.add(
            TestCaseRow(
                job_id=job_id,
                suite="pytest",
                classname=classname,
                name=name,
                file="test_app.py",
                status=status,
                seconds=seconds,
                output=output,
            )
        )
    session.add(ArtifactRow(job_id=job_id, kind="junit", key="artifacts/1", filename="junit.xml.gz", size=812))


def _releases(
    session: Session, project: Project, user: User, shas: tuple[str, ...], pipelines: tuple[int, ...], clock: FixedClock
) -> int:
    made: Release
    environment = environments.ensure(
        session, project_id=project.id, project_path=project.path, name="production", clock=clock
    )
    story = (
        (shas[0], ReleaseState.RETIRED, Kind.DEPLOY, None, None),
        (shas[1], ReleaseState.RETIRED, Kind.DEPLOY, None, None),
        (shas[2], ReleaseState.FAILED, Kind.DEPLOY, None, "not healthy within 60 s: GET /health answered 500"),
        (shas[0], ReleaseState.LIVE, Kind.ROLLBACK, 1, None),
    )
    for number, (sha, state, kind, of, reason) in enumerate(story, start=1):
        clock_then = FixedClock(NOW - timedelta(hours=10 - 2 * number))
        image = f"localhost:8080/{project.path}@{registry_house.digest(sha.encode())}"
        made, _ = releases.request(
            session,
            environment=environment,
            image=image,
            image_name=f"localhost:8080/{project.path}:{sha[:8]}",
            settings=Settings(port=5000, health_path="/health"),
            origin=Origin(sha, "main", pipelines[0], None, user.id),
            kind=kind,
            of=of,
            clock=clock_then,
        )
        row = session.get_one(ReleaseRow, made.id)
        row.state, row.reason, row.finished_at = state, reason, clock_then.now() + timedelta(seconds=3)
        if state is ReleaseState.FAILED:
            row.container_log = "Traceback (most recent call last):\n  ...\nKeyError: 'DATABASE_URL'"
        rollout = session.query(RolloutRow).filter_by(release_id=made.id).one()
        rollout.state = RolloutState.FAILED if state is ReleaseState.FAILED else RolloutState.DONE
    session.flush()
    return environment.id


def _images(session: Session, services: Services, project: Project, shas: tuple[str, ...]) -> None:
    repository = RepositoryRow(project_id=project.id, name=project.path, created_at=NOW)
    session.add(repository)
    session.flush()
    layer = _layer({"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": DPKG})
    config = IMAGE_CONFIG | {"rootfs": {"type": "layers", "diff_ids": [registry_house.digest(layer)]}}
    packed = json.dumps(config).encode()
    signed = registry_house.descriptor(registry_house.image(packed, layer), media.OCI_MANIFEST)
    signature = registry_house.image(b"{}", subject=signed)
    signature = signature.replace(
        b'"schemaVersion"', b'"artifactType": "application/vnd.cncf.notary.signature", "schemaVersion"'
    )
    for blob in (packed, layer, b"{}"):
        image_blobs.keep(session, services.blobs, registry_house.digest(blob), len(blob), blob, clock=services.clock)
        image_blobs.link(session, repository, registry_house.digest(blob), clock=services.clock)
    for tag in (*(sha[:8] for sha in shas[:3]), "latest"):
        manifests.put(
            session,
            repository,
            tag,
            registry_house.image(packed, layer),
            content_type=media.OCI_MANIFEST,
            store=services.blobs,
            clock=services.clock,
        )
    manifests.put(
        session,
        repository,
        registry_house.digest(signature),
        signature,
        content_type=media.OCI_MANIFEST,
        store=services.blobs,
        clock=services.clock,
    )


def _layer(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return packed.getvalue()


def _variables(session: Session, project: Project) -> None:
    for key, value, masked in (("DATABASE_URL", "postgresql://db/hello", False), ("API_TOKEN", "s3cret-value-9", True)):
        project_variables.create(session, "project", project.id, VariableFields(key, value, masked=masked))
