"""LLBBridge: what the build function inside a client calls: which capabilities, build this, here is my result."""

from __future__ import annotations

from dataclasses import dataclass

from riad.engine.buildkit.builds import Builds
from riad.engine.buildkit.grpc import Call, CallFailed, Code, Service, method
from riad.engine.buildkit.jobs import Job, Jobs
from riad.engine.buildkit.messages.common import Capability, Worker
from riad.engine.buildkit.messages.gateway import (
    EvaluateRequest,
    PongResponse,
    Ref,
    Result,
    ReturnRequest,
    SolveRequest,
    SolveResponse,
)
from riad.engine.buildkit.results import definition_of
from riad.engine.buildkit.session import Empty

_PREFIX = "/moby.buildkit.v1.frontend.LLBBridge/"
_BUILD = "buildkit-controlapi-buildid"
_FRONTEND_CAPS = (
    "solve.base", "return", "returnmap", "proto.refarray", "gateway.solve.metadata", "gateway.solve.evaluate",
    "frontend.caps", "importcaches", "gateway.warnings", "reference.output", "gateway.evaluate",
)  # fmt: skip
_LLB_CAPS = (
    "source.image", "source.local", "source.git", "source.http", "exec.meta.base", "exec.mount.cache",
    "exec.mount.secret", "exec.mount.ssh", "exec.mount.bind", "exec.mount.tmpfs", "platform", "exporter.multiple",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gateway:
    jobs: Jobs
    builds: Builds
    worker: Worker

    def service(self) -> Service:
        return {
            f"{_PREFIX}Ping": method(Empty, self._ping),
            f"{_PREFIX}Solve": method(SolveRequest, self._solve),
            f"{_PREFIX}Evaluate": method(EvaluateRequest, self._evaluate),
            f"{_PREFIX}Return": method(ReturnRequest, self._return),
        }

    async def _ping(self, _: Empty, call: Call) -> PongResponse:
        await self._job(call)
        frontend = tuple(Capability(name, enabled=True) for name in _FRONTEND_CAPS)
        llb = tuple(Capability(name, enabled=True) for name in _LLB_CAPS)
        return PongResponse(frontend, llb, (self.worker,))

    async def _solve(self, request: SolveRequest, call: Call) -> SolveResponse:
        job = await self._job(call)
        if request.definition or not request.frontend:
            raise CallFailed(
                Code.UNIMPLEMENTED, "this engine builds Dockerfiles; a graph (LLB) of a client's own is not supported"
            )
        outcome = await self.builds.build(job, request.frontend, request.options, request.inputs)
        if outcome.solved is None:
            return SolveResponse(Result(metadata=outcome.metadata))
        ref = Ref(job.add(outcome), definition_of(outcome.solved.state.image))
        return SolveResponse(Result(ref=ref, metadata=outcome.metadata))

    async def _evaluate(self, request: EvaluateRequest, call: Call) -> Empty:
        """Results are whole when they are given out: there is nothing left to do."""
        if request.ref not in (await self._job(call)).outcomes:
            raise CallFailed(Code.NOT_FOUND, f"no such result {request.ref}")
        return Empty()

    async def _return(self, request: ReturnRequest, call: Call) -> Empty:
        (await self._job(call)).returning(request.result, request.error)
        return Empty()

    async def _job(self, call: Call) -> Job:
        return await self.jobs.get(call.metadata.get(_BUILD, ""))
