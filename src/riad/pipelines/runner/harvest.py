"""After the script: artifacts, test reports, dotenv and caches, out of the box and into the stores."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from riad.kernel.faults import Fault, Kind, invalid
from riad.pipelines.language.model import Artifacts, Cache, Image
from riad.pipelines.reports import junit
from riad.pipelines.runner import caches
from riad.pipelines.runner.assignment import Assignment, Surroundings
from riad.pipelines.runner.collect import Fetched, Selection, make_zip, read_reports
from riad.pipelines.runner.outcome import Outcome
from riad.pipelines.runner.parts import Parts
from riad.pipelines.runner.trace_writer import TraceWriter
from riad.pipelines.status import Status
from riad.pipelines.store import ArtifactRow

MAX_DOTENV = 5 * 1024
_DOTENV = re.compile(r"\s*([A-Za-z_]\w*)=(.*)")


@dataclass(frozen=True, slots=True)
class Harvest:
    artifacts: tuple[ArtifactRow, ...] = ()
    cases: tuple[junit.TestCase, ...] = ()
    dotenv: tuple[tuple[str, str], ...] = ()
    coverage: float | None = None
    environment_url: str | None = None


NOTHING = Harvest()


@dataclass(slots=True)
class _Basket:
    artifacts: list[ArtifactRow] = field(default_factory=list)
    cases: list[junit.TestCase] = field(default_factory=list)
    dotenv: list[tuple[str, str]] = field(default_factory=list)


async def gather_in(
    parts: Parts, job: Assignment, around: Surroundings, outcome: Outcome, trace: TraceWriter
) -> Harvest:
    """May be repeated. Trouble with one kind of file is told in the log and spares the others."""
    basket = _Basket()
    wanted = job.plan.artifacts
    if outcome.status is not Status.CANCELED:
        kept = [cache for cache in job.plan.cache if cache.policy != "pull" and _applies(cache.when, outcome)]
        if kept:
            trace.open_section("archive_cache", "Saving cache for later pipelines")
            for cache in kept:
                await _told(trace, _save_cache(parts, job, around, cache, trace))
        if wanted is not None:
            trace.open_section("upload_artifacts_on_success", "Uploading artifacts")
            await _told(trace, _artifacts(parts, job, around, wanted, outcome, trace, basket))
    url = None
    if job.plan.environment is not None and job.plan.environment.url is not None:
        values = {**around.values, **dict(basket.dotenv)}
        url = Surroundings(values, {}, frozenset()).expand(job.plan.environment.url)
    return Harvest(tuple(basket.artifacts), tuple(basket.cases), tuple(basket.dotenv), environment_url=url)


def _applies(when: str, outcome: Outcome) -> bool:
    return when == "always" or (when == "on_success") == (outcome.status is Status.SUCCESS)


async def _told(trace: TraceWriter, work: Awaitable[None]) -> None:
    try:
        await work
    except Fault as fault:
        if fault.kind is Kind.UNAVAILABLE:
            raise
        trace.warn(fault.message)


async def _artifacts(
    parts: Parts,
    job: Assignment,
    around: Surroundings,
    wanted: Artifacts,
    outcome: Outcome,
    trace: TraceWriter,
    basket: _Basket,
) -> None:
    archive = _applies(wanted.when, outcome) and (bool(wanted.paths) or wanted.untracked)
    paths = [around.expand(path) for path in wanted.paths] if archive else []
    reports = [*wanted.junit, *wanted.dotenv]
    tracked = await asyncio.to_thread(_tracked, parts, job) if archive and wanted.untracked else frozenset[str]()
    everything = Selection([*paths, *reports], untracked=archive and wanted.untracked)
    fetched = Fetched()
    try:
        await fetched.fetch(parts.executor, job.box, job.folder, everything.roots())
        if archive:
            exclude = [around.expand(path) for path in wanted.exclude]
            selection = Selection(paths, exclude, untracked=wanted.untracked, tracked=tracked)
            await asyncio.to_thread(_keep_archive, parts, job, around, wanted, selection, fetched, trace, basket)
        await asyncio.to_thread(_read_reports, fetched, wanted, trace, basket)
    finally:
        await asyncio.to_thread(fetched.close)


def _tracked(parts: Parts, job: Assignment) -> frozenset[str]:
    return frozenset(parts.source.list_paths(job.project.id, job.pipeline.sha))


def _keep_archive(
    parts: Parts,
    job: Assignment,
    around: Surroundings,
    wanted: Artifacts,
    selection: Selection,
    fetched: Fetched,
    trace: TraceWriter,
    basket: _Basket,
) -> None:
    key = f"artifacts/{job.project.id}/{job.job_id}/archive.zip"
    with parts.blobs.write(key) as out:
        names = make_zip(fetched, selection, out)
    for pattern in selection.paths:
        matching = sum(1 for name in names if Selection([pattern]).takes(name))
        if matching:
            trace.say(f"{pattern}: found {matching} matching files")
        else:
            trace.warn(f"{pattern}: no matching files")
    if not names:
        parts.blobs.delete(key)
        trace.warn("there are no files to upload")
        return
    name = re.sub(r"[/\\\x00-\x1f]", "_", around.expand(wanted.name)) or "artifacts"
    expire = parts.clock.now() + timedelta(seconds=wanted.expire_in) if wanted.expire_in is not None else None
    size = parts.blobs.size(key) or 0
    basket.artifacts.append(
        ArtifactRow(job_id=job.job_id, kind="archive", key=key, filename=f"{name}.zip", size=size, expire_at=expire)
    )
    trace.say(f"Uploading artifacts... {len(names)} files, {size} bytes")


def _read_reports(fetched: Fetched, wanted: Artifacts, trace: TraceWriter, basket: _Basket) -> None:
    for kind, patterns in (("junit", wanted.junit), ("dotenv", wanted.dotenv)):
        found = 0
        for path, file in read_reports(fetched, patterns) if patterns else ():
            found += 1
            if file is None:
                trace.warn(f"{path}: too large for a {kind} report")
                continue
            try:
                if kind == "junit":
                    basket.cases.extend(junit.parse(file))
                else:
                    basket.dotenv.extend(read_dotenv(file.read(MAX_DOTENV + 1)))
            except Fault as fault:
                trace.warn(f"{kind} report {path}: {fault.message}")
        if patterns and not found:
            trace.warn(f"{', '.join(patterns)}: no {kind} report found")
    if basket.cases:
        failed = sum(case.status in ("failed", "error") for case in basket.cases)
        trace.say(f"Test report: {len(basket.cases)} tests, {failed} failed")


def read_dotenv(data: bytes) -> list[tuple[str, str]]:
    """KEY=value lines. Raises INVALID for another line, or more than MAX_DOTENV bytes."""
    if len(data) > MAX_DOTENV:
        raise invalid(f"larger than {MAX_DOTENV} bytes")
    found = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        parts = _DOTENV.fullmatch(line)
        if parts is None:
            raise invalid(f"line {number} is not KEY=value")
        found.append((parts[1], _unquoted(parts[2].strip())))
    return found


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


async def _save_cache(parts: Parts, job: Assignment, around: Surroundings, cache: Cache, trace: TraceWriter) -> None:
    key = await asyncio.to_thread(caches.key_of, parts, job, around, cache)
    selection = Selection([around.expand(path) for path in cache.paths])
    fetched = Fetched()
    try:
        await fetched.fetch(parts.executor, job.box, job.folder, selection.roots())
        names = await asyncio.to_thread(_write_cache, parts, key.blob, fetched, selection)
    finally:
        await asyncio.to_thread(fetched.close)
    trace.say(f"Saved the cache {key.shown}: {len(names)} files")


def _write_cache(parts: Parts, key: str, fetched: Fetched, selection: Selection) -> Sequence[str]:
    with parts.blobs.write(key) as out:
        return make_zip(fetched, selection, out)


def replaced_image(image: Image | None, name: str) -> Image:
    """The image under its expanded name."""
    return Image(name, image.entrypoint, image.pull_policy) if image is not None else Image(name)
