"""All pages. Particular addresses come before `/{group}/{name}`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from riad.kernel.faults import not_found
from riad.web import (
    account,
    admin,
    environments,
    experiment_runs,
    experiments,
    files,
    history,
    images,
    jobs,
    models,
    pipelines,
    project,
    projects,
    settings,
    sign_in,
    static_files,
)
from riad.web.pages import Pages
from riad.web.services import Services
from riad.web.visit import Visit


def router(services: Services) -> APIRouter:
    """The last router of the application: it answers every address that nobody else has taken."""
    pages = Pages(services)
    static_files.add(pages.routes)
    for group in (
        sign_in,
        projects,
        account,
        admin,
        pipelines,
        jobs,
        environments,
        images,
        experiments,
        experiment_runs,
        models,
        settings,
        history,
        files,
        project,
    ):
        group.add(pages)
    pages.get("/{rest:path}")(nothing)
    return pages.routes


def nothing(visit: Visit) -> Response:
    raise not_found("there is nothing at this address")
