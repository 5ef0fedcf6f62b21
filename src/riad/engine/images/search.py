"""`docker search`: what a registry has whose name contains a word.

A word that begins with a registry's name is looked for in that registry's catalogue; any other at Docker Hub.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.credentials import Credentials
from riad.engine.images.registry.errors import Refusal, Unreachable
from riad.engine.images.registry.places import RegistryOptions, own_place
from riad.kernel.faults import Fault, Kind, invalid
from riad.oci.reference import DOCKER_HUB, Reference

_HUB = f"https://index.{DOCKER_HUB}/v1/search"
_TIMEOUT = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class Hit:
    name: str
    description: str = ""
    stars: int = 0
    official: bool = False


async def search(term: str, options: RegistryOptions, credentials: Credentials, *, limit: int) -> Sequence[Hit]:
    """The best `limit` hits. Raises INVALID, UNAUTHENTICATED, UNAVAILABLE where the registry does not answer."""
    domain, _, rest = term.partition("/")
    if rest and ("." in domain or ":" in domain or domain == "localhost"):
        return (await _catalogue(domain, rest, options, credentials))[:limit]
    if "://" in term:
        raise invalid(f"invalid repository name: repository name ({term}) should not have a scheme")
    return await _hub(term, limit)


async def _catalogue(domain: str, term: str, options: RegistryOptions, credentials: Credentials) -> list[Hit]:
    try:
        async with Registry(own_place(Reference(domain, ""), options), credentials) as registry:
            names = await registry.repositories()
    except Refusal as error:
        raise error.fault() from None
    except Unreachable as error:
        raise Fault(Kind.UNAVAILABLE, f"cannot search {domain}: {error}") from None
    return [Hit(f"{domain}/{name}") for name in names if term in name]


async def _hub(term: str, limit: int) -> list[Hit]:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as session,
            session.get(_HUB, params={"q": term, "n": str(limit)}) as answer,
        ):
            answer.raise_for_status()
            found = json.loads(await answer.text())["results"]
    except (aiohttp.ClientError, TimeoutError, ValueError, LookupError) as error:
        raise Fault(
            Kind.UNAVAILABLE,
            f"cannot search {DOCKER_HUB}: {error or 'no answer in time'}. To search another registry, write its name "
            f"first: docker search HOST[:PORT]/{term}",
        ) from None
    return [
        Hit(
            str(one.get("name", "")),
            str(one.get("description") or ""),
            int(one.get("star_count") or 0),
            bool(one.get("is_official")),
        )
        for one in found[:limit]
    ]
