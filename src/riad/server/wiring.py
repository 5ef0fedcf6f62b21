"""The composition root: what is built from what, top to bottom. Plain constructors, no decisions.

Without a Docker Engine API (`docker_host`) there is no runner: forge, registry and web work, jobs wait. Without an
edge there are no roll-outs.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from riad import __version__
from riad.deploy import in_job
from riad.deploy.container import service_url
from riad.deploy.edge import files as edge_files
from riad.deploy.edge.config import EdgeSettings
from riad.deploy.edge.haproxy import HaproxyEdge
from riad.deploy.reconcile import Reconciler
from riad.deploy.runner import Rollouts
from riad.deploy.steps import Steps
from riad.dockerclient.client import DockerClient
from riad.dockerclient.scoped.sockets import ScopedSockets
from riad.forge import pushes
from riad.forge.model import ZERO, Project, RefUpdate
from riad.forge.repositories import Repositories
from riad.forge.source import ForgeSource
from riad.kernel.blobs import FolderBlobs
from riad.kernel.clock import Clock, SystemClock
from riad.kernel.db import Database
from riad.ml import experiments
from riad.ml.sql import Writer
from riad.pipelines import push_options
from riad.pipelines.ports import Server
from riad.pipelines.runner import parts as running
from riad.pipelines.runner.docker_executor import DockerExecutor
from riad.pipelines.runner.runner import Runner
from riad.pipelines.service import PipelineService
from riad.pipelines.traces import Traces
from riad.protocols import git, gitlab, mlflow
from riad.protocols.gitlab import environments, releasing
from riad.protocols.gitlab import pipelines as pipeline_routes
from riad.protocols.gitlab import registry as registry_routes
from riad.protocols.ocidist import router as ocidist
from riad.protocols.ocidist.services import Services as RegistryServices
from riad.protocols.ocidist.tokens import load_key
from riad.registry.cache import Cache, parse_upstream
from riad.registry.uploads import Parts as UploadParts
from riad.server import app, first_start
from riad.server.adapters import (
    JobTokens,
    PipelineProjects,
    PipelineUsers,
    RegistryImages,
    RegistryProjects,
    deploying_job,
)
from riad.server.config import ServerConfig
from riad.server.delivery import Delivery
from riad.server.reactions import Reactions
from riad.server.upkeep import Upkeep
from riad.web import router as pages
from riad.web.services import Services as PageServices

IN_JOB_COMMAND = "/usr/local/bin/riad"
JOBS_KNOW_RIAD_AS = "riad.internal"
"""The name that job containers reach this machine by; the runner adds it to each."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the server keeps, and the little that everything else is built from."""

    config: ServerConfig
    database: Database
    clock: Clock
    repositories: Repositories
    blobs: FolderBlobs
    traces: Traces
    source: ForgeSource
    signing_key: bytes
    experiments: Writer
    """Everything that is written of experiments."""

    @property
    def installation(self) -> str:
        """Names this Riad among others; says nothing of the key that it is made from."""
        return hashlib.sha256(b"installation\0" + self.signing_key).hexdigest()[:12]

    @property
    def images(self) -> RegistryImages:
        return RegistryImages(self.database, self.clock, self.config.host, self.signing_key)

    @property
    def cache(self) -> Cache:
        config = self.config
        upstreams = tuple(map(parse_upstream, config.registry_cache))
        folder = config.data_dir / "uploads"
        return Cache(self.database, self.blobs, self.clock, folder, upstreams, config.registry_cache_public)

    @property
    def edge(self) -> EdgeSettings:
        socket = self.config.socket
        return EdgeSettings(
            folder=self.config.edge,
            admin_socket=self.config.edge_socket or self.config.run / "edge.sock",
            binds=(f"*:{self.config.port}", f":::{self.config.port} v6only"),
            riad=f"unix@{socket}" if socket else self.config.listen,
            riad_url=self.config.url,
            domain=self.config.service_domain,
        )


@dataclass(frozen=True, slots=True)
class Pipelines:
    """The verbs of pipelines, and the runner of their jobs where there is an engine."""

    service: PipelineService
    runner: Runner | None
    sockets: ScopedSockets | None

    @classmethod
    def build(cls, kept: Kept, docker: DockerClient | None) -> Pipelines:
        config = kept.config
        server = Server(
            url=config.url,
            registry=config.host,
            riad_url=f"http://{JOBS_KNOW_RIAD_AS}:{config.port}",
            version=__version__,
        )
        projects, users = PipelineProjects(kept.database), PipelineUsers(kept.database)
        runner = sockets = None
        if docker is not None:
            sockets = ScopedSockets(docker.host, config.run / "sockets", config.host)
            parts = running.Parts(
                database=kept.database,
                clock=kept.clock,
                source=kept.source,
                projects=projects,
                users=users,
                server=server,
                tokens=JobTokens(kept.database, kept.clock),
                blobs=kept.blobs,
                traces=kept.traces,
                executor=DockerExecutor(docker),
                sockets=sockets,
                tools={IN_JOB_COMMAND: in_job.script()},
            )
            runner = Runner(parts, concurrency=config.jobs)
        service = PipelineService(
            database=kept.database,
            clock=kept.clock,
            source=kept.source,
            projects=projects,
            users=users,
            server=server,
            blobs=kept.blobs,
            traces=kept.traces,
            notify=runner.notify if runner is not None else lambda: None,
            runner_tags=runner.tags if runner is not None else frozenset(),
        )
        return cls(service, runner, sockets)

    def run_on(self, *, project_id: int, ref: str, user_id: int) -> int:
        """A pipeline that someone asked for on a page."""
        return self.service.create(project_id=project_id, ref=ref, source="web", user_id=user_id).id


@dataclass(frozen=True, slots=True)
class Deploying:
    rollouts: Rollouts
    reconciler: Reconciler

    @classmethod
    def build(cls, kept: Kept, docker: DockerClient) -> Deploying:
        config = kept.config
        edge = HaproxyEdge(kept.edge.admin_socket, kept.edge.folder)
        rollouts = Rollouts(
            database=kept.database,
            steps=Steps(
                docker=docker,
                edge=edge,
                images=kept.images,
                domain=config.service_domain,
                installation=kept.installation,
            ),
            clock=kept.clock,
            url_of=lambda service: service_url(config.url, config.service_domain, service),
            publish=lambda: write_edge_files(kept),
        )
        return cls(rollouts, Reconciler(database=kept.database, rollouts=rollouts))


def write_edge_files(kept: Kept) -> None:
    """What a HAProxy that is started from now on comes up with."""
    with kept.database.read() as session:
        files = edge_files.files_of(session, kept.edge)
    edge_files.write(kept.edge.folder, files)


def faces(
    kept: Kept, pipelines: Pipelines, deploying: Deploying | None, delivery: Delivery, uploads: UploadParts
) -> Iterator[APIRouter]:
    """Every protocol, then the pages, which answer every address that nobody else has taken."""
    config, database, clock = kept.config, kept.database, kept.clock
    yield mlflow.router(
        mlflow.Services(database, clock, kept.experiments, kept.blobs, incoming=config.data_dir / "uploads" / "ml")
    )
    yield git.router(
        git.Services(
            database,
            clock,
            kept.repositories,
            external_url=config.url,
            announced=delivery.wake,
            remarks=lambda project, updates: _remarks(config.url, project, updates),
            objection=push_options.objection,
        )
    )
    yield ocidist.router(
        RegistryServices(
            database=database,
            clock=clock,
            blobs=kept.blobs,
            parts=uploads,
            projects=RegistryProjects(),
            signing_key=kept.signing_key,
            external_url=config.url,
            cache=kept.cache,
        )
    )
    yield gitlab.router(
        gitlab.Services(
            database,
            clock,
            kept.repositories,
            external_url=config.url,
            version=__version__,
            announced=delivery.wake,
        )
    )
    yield registry_routes.router(registry_routes.Services(database, clock, kept.blobs, config.host, config.advisories))
    yield pipeline_routes.router(pipeline_routes.Services(database, clock, pipelines.service, config.url))
    if deploying is not None:
        yield environments.router(
            releasing.Services(
                database=database,
                clock=clock,
                external_url=config.url,
                domain=config.service_domain,
                images=kept.images,
                rollouts=deploying.rollouts,
                job=deploying_job,
                look_after=deploying.reconciler.wake,
            )
        )
    yield gitlab.fallback()
    yield pages.router(
        PageServices(
            database=database,
            clock=clock,
            repositories=kept.repositories,
            blobs=kept.blobs,
            traces=kept.traces,
            external_url=config.url,
            domain=config.service_domain,
            registry=config.host,
            advisories=config.advisories,
            run_pipeline=pipelines.run_on,
            wake_pipelines=pipelines.service.notify,
            wake_rollouts=deploying.rollouts.wake if deploying is not None else lambda: None,
            version=__version__,
        )
    )


def _remarks(url: str, project: Project, updates: Sequence[RefUpdate]) -> list[str]:
    """What git shows to who has pushed."""
    if all(update.after == ZERO for update in updates):
        return []
    return [f"Watch the pipeline at {url}/{project.path}/-/pipelines"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the server is made of."""

    kept: Kept
    routers: tuple[APIRouter, ...]
    tasks: tuple[app.Task, ...]
    checks: tuple[app.Check, ...]
    docker: DockerClient | None
    sockets: ScopedSockets | None

    def prepare(self) -> None:
        """What has to be done before the first request: the first administrator, cut-off pushes, the edge's files."""
        first_start.prepare(self.kept.database, self.kept.config, clock=self.kept.clock)
        experiments.ensure_first(self.kept.database, clock=self.kept.clock)
        pushes.recover(self.kept.database, self.kept.repositories, clock=self.kept.clock)
        write_edge_files(self.kept)

    def application(self) -> FastAPI:
        return app.application(self.routers, tasks=self.tasks, checks=self.checks, close=self.close)

    async def close(self) -> None:
        if self.sockets is not None:
            await self.sockets.stop()
        if self.docker is not None:
            await self.docker.close()
        await asyncio.to_thread(self.kept.experiments.close)
        self.kept.database.close()


def build(config: ServerConfig, database: Database) -> Parts:
    kept = keep(config, database)
    docker = DockerClient(config.docker_host) if config.docker_host else None
    pipelines = Pipelines.build(kept, docker)
    deploying = Deploying.build(kept, docker) if docker is not None else None
    uploads = UploadParts(config.data_dir / "uploads")
    reactions = Reactions(
        database=database,
        clock=kept.clock,
        blobs=kept.blobs,
        repositories=kept.repositories,
        pipelines=pipelines.service,
        look_after=deploying.reconciler.wake if deploying is not None else lambda: None,
    )
    delivery = Delivery(database, reactions.table(), clock=kept.clock)
    upkeep = Upkeep(database, kept.clock, kept.repositories, kept.blobs, uploads, kept.cache)
    tasks: list[app.Task] = [delivery.run, upkeep.run]
    checks = [app.database_check(database)]
    if docker is not None:
        checks.append(app.Check("engine", docker.ping))
    if pipelines.runner is not None:
        tasks.append(pipelines.runner.run)
    if deploying is not None:
        tasks += [deploying.rollouts.run, deploying.reconciler.run]
    return Parts(
        kept=kept,
        routers=tuple(faces(kept, pipelines, deploying, delivery, uploads)),
        tasks=tuple(tasks),
        checks=tuple(checks),
        docker=docker,
        sockets=pipelines.sockets,
    )


def keep(config: ServerConfig, database: Database) -> Kept:
    repositories = Repositories(config.repositories)
    temporary = config.run / "checkouts"
    temporary.mkdir(parents=True, exist_ok=True)
    return Kept(
        config=config,
        database=database,
        clock=SystemClock(),
        repositories=repositories,
        blobs=FolderBlobs(config.blobs),
        traces=Traces(config.traces),
        source=ForgeSource(database, repositories, temporary=temporary),
        signing_key=load_key(config.data_dir / "registry.key"),
        experiments=Writer(database),
    )
