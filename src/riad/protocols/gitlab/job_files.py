"""What jobs leave behind: logs and artifacts (doc/api/jobs.md, doc/api/job_artifacts.md)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from riad.identity.model import Access
from riad.kernel.faults import not_found
from riad.protocols.gitlab import jobs, lookup
from riad.protocols.gitlab.api import NO_CONTENT, Answer, Api, Call

if TYPE_CHECKING:
    from riad.protocols.gitlab.pipelines import Services

PIECE = 256 * 1024


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    one = "/projects/{id}/jobs/{job_id}"
    api.get(f"{one}/trace", partial(trace, services))
    api.get(f"{one}/artifacts", partial(archive, services))
    api.delete(f"{one}/artifacts", partial(delete_archive, services))
    api.post(f"{one}/artifacts/keep", partial(keep, services), status=200)
    api.get(f"{one}/artifacts/{{path:path}}", partial(one_file, services))
    of_ref = "/projects/{id}/jobs/artifacts/{ref}"
    api.get(f"{of_ref}/download", partial(archive_of_ref, services))
    api.get(f"{of_ref}/raw/{{path:path}}", partial(file_of_ref, services))
    return api.router


def trace(services: Services, call: Call) -> Response:
    _, view = jobs.found(services, call, Access.REPORTER)
    return Response(services.pipelines.trace(view.id).data, media_type="text/plain; charset=utf-8")


def archive(services: Services, call: Call) -> Response:
    _, view = jobs.found(services, call, Access.REPORTER)
    return _download(services, view.id)


def archive_of_ref(services: Services, call: Call) -> Response:
    return _download(services, _of_ref(services, call))


def _of_ref(services: Services, call: Call) -> int:
    with services.database.read() as session:
        project = lookup.project(session, call, Access.REPORTER)
    return services.pipelines.latest_job_with_archive(project.id, call.path["ref"], call.params.needed("job"))


def _download(services: Services, job_id: int) -> Response:
    row, file = services.pipelines.archive(job_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.filename)}",
        "Content-Length": str(row.size),
    }
    return StreamingResponse(_pieces(file), media_type="application/zip", headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


def one_file(services: Services, call: Call) -> Response:
    _, view = jobs.found(services, call, Access.REPORTER)
    return _one(services, view.id, call.path["path"])


def file_of_ref(services: Services, call: Call) -> Response:
    return _one(services, _of_ref(services, call), call.path["path"])


def _one(services: Services, job_id: int, path: str) -> Response:
    """One file out of the archive, unpacked as it is sent; never shown by a browser as a page of this site."""
    _, stored = services.pipelines.archive(job_id)
    held = zipfile.ZipFile(stored)
    try:
        entry = held.getinfo(path)
    except KeyError:
        stored.close()
        raise not_found(f"404 {path} is not among the artifacts of job {job_id}") from None
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2])}",
        "Content-Length": str(entry.file_size),
    }
    return StreamingResponse(_unpacked(stored, held, entry), media_type="application/octet-stream", headers=headers)


def _unpacked(stored: IO[bytes], held: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with stored, held.open(entry) as file:
        yield from _pieces(file)


def delete_archive(services: Services, call: Call) -> Answer:
    _, view = jobs.found(services, call, Access.DEVELOPER)
    services.pipelines.delete_archive(view.id)
    return NO_CONTENT


def keep(services: Services, call: Call) -> object:
    project, view = jobs.found(services, call, Access.DEVELOPER)
    return jobs.rendered(services, project, [services.pipelines.keep_archive(view.id)])[0]
