"""What happens because of what happened: every reaction across domains, a line each. Reading this is reading Riad.

A reaction runs at least once for each event, in a thread; it is idempotent, so that one cut off in the middle can run
again (a pipeline is created once per event: the event's number is its origin).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riad.forge.model import BRANCHES, TAGS, ZERO
from riad.kernel.outbox import Event, Reaction
from riad.pipelines import create
from riad.pipelines.create import Creation, Trigger


@dataclass(frozen=True, slots=True)
class Reactions:
    """`woken` tells the pipelines' runner that there may be work."""

    creation: Creation
    woken: Reaction

    def table(self) -> Mapping[str, Sequence[Reaction]]:
        return {
            "forge.ref_pushed": [self.create_pipeline, self.woken],
        }

    def create_pipeline(self, event: Event) -> None:
        """A branch or tag that was pushed, and not deleted, gets a pipeline of its newest commit."""
        pushed = event.payload
        if pushed["after"] == ZERO:
            return
        ref = str(pushed["ref"])
        create.create(
            self.creation,
            Trigger(
                project_id=pushed["project_id"],
                ref=ref.removeprefix(BRANCHES).removeprefix(TAGS),
                sha=pushed["after"],
                is_tag=ref.startswith(TAGS),
                before_sha=pushed["before"],
                user_id=pushed["user_id"],
                origin=f"event {event.id}",
            ),
        )
