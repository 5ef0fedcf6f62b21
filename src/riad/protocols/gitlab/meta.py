"""What this server is: `/version`, `/metadata`."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from riad.identity.model import Scope
from riad.protocols.gitlab.api import Api, Call
from riad.protocols.gitlab.services import Services

LIKE = "17.0.0"
"""The GitLab release whose API this follows; clients compare it, so it comes first."""


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get("/version", partial(version, services), scope=Scope.READ_USER)
    api.get("/metadata", partial(metadata, services), scope=Scope.READ_USER)
    return api.router


def version(services: Services, call: Call) -> object:
    _ = call.user
    return {"version": f"{LIKE}+riad.{services.version}", "revision": "riad"}


def metadata(services: Services, call: Call) -> object:
    kas = {"enabled": False, "externalUrl": None, "externalKubernetesProxyUrl": None, "version": None}
    found = version(services, call)
    assert isinstance(found, dict)
    return found | {"kas": kas, "enterprise": False}
