"""POST /commit: a container's files and settings as a new image."""

from __future__ import annotations

from aiohttp import web

from riad.engine.containers.commit import Wish, commit
from riad.engine.containers.engine import Engine
from riad.engine.dockerapi.image_transfer import pulled_reference
from riad.engine.dockerapi.wire import flag, json_body, json_response
from riad.kernel.faults import invalid
from riad.oci.config import container_config_from_json


def routes(*, engine: Engine) -> list[web.RouteDef]:
    async def make(request: web.Request) -> web.Response:
        query = request.query
        if not query.get("container"):
            raise invalid("container: the name or id of the container to commit is missing")
        container = engine.registry.find(query["container"])
        nothing = (await request.read()).strip() in (b"", b"null")  # Go's client sends null for "as it is"
        body = {} if nothing else await json_body(request)
        image = await commit(
            engine,
            container,
            Wish(
                reference=pulled_reference(query["repo"], query.get("tag", "")) if query.get("repo") else None,
                config=container_config_from_json(body) if body else None,
                changes=query.getall("changes", []),
                author=query.get("author", ""),
                comment=query.get("comment", ""),
                pause=flag(query, "pause", default=True),
            ),
        )
        return json_response({"Id": image.id}, status=201)

    return [web.post("/commit", make)]
