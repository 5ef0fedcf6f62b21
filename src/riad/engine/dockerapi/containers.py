"""/containers: create, list, inspect and every verb of a container's life but the streams (see `container_streams`)."""

from __future__ import annotations

from aiohttp import web

from riad.engine.containers import create, remove, rename, start, stop, top, wait
from riad.engine.containers.attach import resize
from riad.engine.containers.engine import Engine
from riad.engine.containers.exec import Executions
from riad.engine.containers.model import Container, Phase
from riad.engine.dockerapi import container_filters
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.container_shapes.inspect import inspect_shape, sizes
from riad.engine.dockerapi.container_shapes.listing import list_shape
from riad.engine.dockerapi.create_body.networking import check_version
from riad.engine.dockerapi.create_body.settings import read_settings
from riad.engine.dockerapi.filters import parse_filters
from riad.engine.dockerapi.streams import chunked
from riad.engine.dockerapi.wire import dumps, flag, json_body, json_response, no_content, version_of, whole
from riad.kernel.faults import Fault, invalid, not_found
from riad.oci.platform import parse_platform

_SHOWN = (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING)


def routes(*, engine: Engine, executions: Executions) -> list[web.RouteDef]:
    def named(request: web.Request) -> Container:
        return engine.registry.find(request.match_info["id"])

    async def create_(request: web.Request) -> web.Response:
        settings = read_settings(await json_body(request), version_of(request))
        check_version(settings.networks, version_of(request))
        await create.check_answering(settings)
        wanted = request.query.get("platform", "")
        platform = parse_platform(wanted) if wanted else None
        created = create.create(engine, settings, name=request.query.get("name", ""), platform=platform)
        return json_response({"Id": created.container.id, "Warnings": list(created.warnings)}, status=201)

    async def list_(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=container_filters.LIST)
        wanted = container_filters.selection(engine, filters)
        limit = max(0, whole(request.query, "limit", default=0) or 0)  # docker-py sends -1 for no limit
        everything = flag(request.query, "all") or limit > 0 or "status" in filters or "exited" in filters
        found = [c for c in engine.registry if (everything or c.phase in _SHOWN) and wanted(c)]
        found.sort(key=lambda container: container.created, reverse=True)
        now = engine.clock.now()
        shapes = [list_shape(engine, container, now=now) for container in found[: limit or None]]
        if flag(request.query, "size"):
            for shape in shapes:
                if container := engine.registry.get(shape["Id"]):  # it may have been removed meanwhile
                    shape |= await sizes(engine, container)
        return json_response(shapes)

    async def inspect(request: web.Request) -> web.Response:
        container = named(request)
        shape = inspect_shape(engine, container, executions.of(container.id))
        if flag(request.query, "size"):
            shape |= await sizes(engine, container)
        return json_response(shape)

    async def start_(request: web.Request) -> web.Response:
        began = await start.start(engine, named(request))
        return no_content() if began else web.Response(status=304)

    async def stop_(request: web.Request) -> web.Response:
        timeout, signal = whole(request.query, "t"), request.query.get("signal", "")
        ended = await stop.stop(engine, named(request), timeout=timeout, signal=signal)
        return no_content() if ended else web.Response(status=304)

    async def restart(request: web.Request) -> web.Response:
        timeout, signal = whole(request.query, "t"), request.query.get("signal", "")
        await stop.restart(engine, named(request), timeout=timeout, signal=signal)
        return no_content()

    async def kill(request: web.Request) -> web.Response:
        try:
            container = named(request)
        except Fault as fault:
            reference = request.match_info["id"]
            raise Fault(fault.kind, f"cannot kill container: {reference}: {fault.message}") from None
        await stop.kill(engine, container, signal=request.query.get("signal", ""))
        return no_content()

    async def pause(request: web.Request) -> web.Response:
        await stop.pause(engine, named(request))
        return no_content()

    async def unpause(request: web.Request) -> web.Response:
        await stop.unpause(engine, named(request))
        return no_content()

    async def rename_(request: web.Request) -> web.Response:
        await rename.rename(engine, named(request), request.query.get("name", ""))
        return no_content()

    @cancellable
    async def wait_(request: web.Request) -> web.StreamResponse:
        condition = request.query.get("condition", "") or "not-running"
        future = wait.begin_wait(engine, named(request), condition)
        # The client starts the container only when it has seen these headers (ContainerWait of Docker's Go client).
        response = await chunked(request, content_type="application/json")
        code = await future
        error = {} if version_of(request) < (1, 30) else {"Error": None}
        await response.write((dumps({"StatusCode": code, **error}) + "\n").encode())
        await response.write_eof()
        return response

    async def remove_(request: web.Request) -> web.Response:
        force, volumes = flag(request.query, "force"), flag(request.query, "v")
        await remove.remove(engine, named(request), force=force, volumes=volumes)
        return no_content()

    async def remove_link(request: web.Request) -> web.Response:
        if not flag(request.query, "link"):
            raise not_found(f"No such container: {request.match_info['id']}/{request.match_info['alias']}")
        await remove.remove_link(engine, named(request), request.match_info["alias"])
        return no_content()

    async def prune(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=container_filters.PRUNE)
        wanted = container_filters.prunable(filters, now=engine.clock.now())
        removed, reclaimed = await remove.prune(engine, wanted)
        return json_response({"ContainersDeleted": removed or None, "SpaceReclaimed": reclaimed})

    async def top_(request: web.Request) -> web.Response:
        titles, rows = await top.top(engine, named(request), request.query.get("ps_args", ""))
        return json_response({"Titles": titles, "Processes": rows})

    async def resize_(request: web.Request) -> web.Response:
        height, width = whole(request.query, "h"), whole(request.query, "w")
        if height is None or width is None:
            raise invalid("h and w: the terminal's height and width are missing")
        resize(engine, named(request), height=height, width=width)
        return web.Response(status=200)

    one = "/containers/{id:/?[^/]+}"
    return [
        web.post("/containers/create", create_),
        web.get("/containers/json", list_),
        web.post("/containers/prune", prune),
        web.get("/containers/{id:.+}/json", inspect),
        web.post(one + "/start", start_),
        web.post(one + "/stop", stop_),
        web.post(one + "/restart", restart),
        web.post(one + "/kill", kill),
        web.post(one + "/pause", pause),
        web.post(one + "/unpause", unpause),
        web.post(one + "/rename", rename_),
        web.post(one + "/wait", wait_),
        web.get(one + "/top", top_),
        web.post(one + "/resize", resize_),
        web.delete(one, remove_),
        web.delete(one + "/{alias}", remove_link),
    ]
