"""What happens because of what happened: every reaction across domains, a line each. Reading this is reading Riad.

A reaction runs at least once for each event, in a thread; it is idempotent, so that one cut off in the middle can run
again (a pipeline is created once per event: the event's number is its origin).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from riad.deploy import environments, rollouts
from riad.forge.projects import DELETED
from riad.forge.pushes import PUSHED
from riad.forge.repositories import Repositories
from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.outbox import Event, Reaction
from riad.pipelines.advance import JOB_FINISHED
from riad.pipelines.service import PipelineService
from riad.registry import replication
from riad.registry import repositories as registry
from riad.registry.manifests import TAG_PUSHED


@dataclass(frozen=True, slots=True)
class Reactions:
    """`look_after` has what runs compared with what is wanted."""

    database: Database
    clock: Clock
    blobs: BlobStore
    repositories: Repositories
    pipelines: PipelineService
    look_after: Callable[[], None]

    def table(self) -> Mapping[str, Sequence[Reaction]]:
        """What to do for each kind of event."""
        return {
            PUSHED: [self.create_pipeline],
            TAG_PUSHED: [self.copy_image],
            JOB_FINISHED: [self.stop_environment],
            DELETED: [self.end_pipelines, self.stop_services, self.forget_images, self.remove_repository],
        }

    def create_pipeline(self, event: Event) -> None:
        """A branch or tag that was pushed, and not deleted, gets a pipeline of its newest commit."""
        pushed = event.payload
        self.pipelines.pushed(
            project_id=pushed["project_id"],
            ref=pushed["ref"],
            before=pushed["before"],
            after=pushed["after"],
            user_id=pushed["user_id"],
            options=pushed["options"],
            origin=f"event {event.id}",
        )

    def copy_image(self, event: Event) -> None:
        """A tag that was pushed goes to the other registries that the project has named."""
        pushed = event.payload
        replication.copy_tag(
            self.database,
            self.blobs,
            project_id=pushed["project_id"],
            repository=pushed["repository"],
            tag=pushed["tag"],
            clock=self.clock,
        )

    def stop_environment(self, event: Event) -> None:
        """A job with `environment: action: stop` that succeeds takes its environment out of service."""
        ended = event.payload
        if ended["environment_action"] != "stop" or ended["status"] != "success":
            return
        with self.database.write() as session:
            for environment in environments.of_project(session, ended["project_id"]):
                if environment.name == ended["environment"]:
                    rollouts.stop(session, environment.id, clock=self.clock)
        self.look_after()

    def end_pipelines(self, event: Event) -> None:
        """A deleted project's jobs end; what ran already is forgotten with its logs and artifacts."""
        self.pipelines.forget_project(event.payload["project_id"])

    def stop_services(self, event: Event) -> None:
        """A deleted project's services are taken down and their addresses become free."""
        with self.database.write() as session:
            for environment in environments.of_project(session, event.payload["project_id"]):
                rollouts.stop(session, environment.id, clock=self.clock)
        self.look_after()

    def forget_images(self, event: Event) -> None:
        """A deleted project's images can no longer be pulled; the registry's clean-up frees their bytes."""
        with self.database.write() as session:
            registry.forget_project(session, event.payload["project_id"])

    def remove_repository(self, event: Event) -> None:
        """A deleted project's repository goes last, when nothing reads it any more."""
        self.repositories.remove(event.payload["storage"])
