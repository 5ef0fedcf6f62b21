"""What happens because of what happened: every reaction across domains, a line each. Reading this is reading Riad.

A reaction runs at least once for each event, in a thread; it is idempotent, so that one cut off in the middle can run
again (a pipeline is created once per event: the event's number is its origin).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from riad.forge.pushes import PUSHED
from riad.kernel.outbox import Event, Reaction
from riad.pipelines.service import PipelineService


def reactions(pipelines: PipelineService) -> Mapping[str, Sequence[Reaction]]:
    """What to do for each kind of event."""
    return {
        PUSHED: [partial(create_pipeline, pipelines)],
    }


def create_pipeline(pipelines: PipelineService, event: Event) -> None:
    """A branch or tag that was pushed, and not deleted, gets a pipeline of its newest commit."""
    pushed = event.payload
    pipelines.pushed(
        project_id=pushed["project_id"],
        ref=pushed["ref"],
        before=pushed["before"],
        after=pushed["after"],
        user_id=pushed["user_id"],
        origin=f"event {event.id}",
    )
