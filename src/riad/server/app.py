"""The server's HTTP application: health, then every face of Riad, then the background tasks that live as long as it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text

from riad import __version__
from riad.kernel import logs
from riad.kernel.db import Database
from riad.kernel.faults import Fault
from riad.server.limits import BodyLimit

log = logs.named("server")

Task = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must work for Riad to be ready. `passes` raises a Fault that says what is wrong."""

    name: str
    passes: Callable[[], Awaitable[None]]


def application(
    routers: Sequence[APIRouter], *, tasks: Sequence[Task], checks: Sequence[Check], close: Task
) -> FastAPI:
    """`tasks` run until the application stops; `close` runs after them."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = [asyncio.create_task(_kept_alive(task)) for task in tasks]
        try:
            yield
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await close()

    app = FastAPI(title="Riad", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit)
    app.include_router(_health(checks))
    for router in routers:
        app.include_router(router)
    return app


async def _kept_alive(task: Task) -> None:
    """A background task that ends by a defect is written down and started again: the others must not stop with it."""
    while True:
        try:
            await task()
            return
        except Exception:
            log.exception("a background task failed; starting it again")
            await asyncio.sleep(1)


def _health(checks: Sequence[Check]) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/-/health")
    @routes.get("/-/liveness")
    def alive() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/-/readiness")
    async def ready() -> JSONResponse:
        answers = dict(zip((check.name for check in checks), await asyncio.gather(*map(_answer, checks)), strict=True))
        good = all(answer == "ok" for answer in answers.values())
        return JSONResponse({"status": "ok" if good else "failed", **answers}, status_code=200 if good else 503)

    return routes


async def _answer(check: Check) -> str:
    try:
        await check.passes()
    except Fault as fault:
        return fault.message
    return "ok"


def database_check(database: Database) -> Check:
    async def passes() -> None:
        await asyncio.to_thread(_ask, database)

    return Check("database", passes)


def _ask(database: Database) -> None:
    with database.read() as session:
        session.execute(text("SELECT 1"))
