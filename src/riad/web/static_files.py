"""The stylesheet, the scripts, the marks; kept by browsers for a year, because their addresses change with them."""

from __future__ import annotations

import mimetypes

from fastapi import APIRouter, Response

from riad.web import templates

_COLOURS = {
    "success": "#2e8b57",
    "failed": "#c0392b",
    "running": "#2f6fb5",
    "pending": "#b8860b",
    "canceled": "#77736b",
}


def add(routes: APIRouter) -> None:
    routes.add_api_route("/-/static/{version}/{name}", static, include_in_schema=False)
    routes.add_api_route("/-/favicon/{status}.svg", favicon, include_in_schema=False)
    routes.add_api_route("/favicon.ico", plain_favicon, include_in_schema=False)


def static(version: str, name: str) -> Response:
    try:
        body = templates.static(name)
    except (FileNotFoundError, IsADirectoryError):
        return Response(status_code=404)
    media_type = mimetypes.guess_type(name)[0] or "text/plain"
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(body, headers=headers, media_type=media_type)


def favicon(status: str) -> Response:
    """The mark with a dot in the colour of a pipeline's state."""
    colour = _COLOURS.get(status)
    dot = f'<circle cx="25" cy="25" r="7" fill="{colour}" stroke="#fff" stroke-width="2"/>' if colour else ""
    mark = templates.static("mark.svg").decode().replace("</svg>", dot + "</svg>")
    return Response(mark, headers={"Cache-Control": "public, max-age=3600"}, media_type="image/svg+xml")


def plain_favicon() -> Response:
    return favicon("")
