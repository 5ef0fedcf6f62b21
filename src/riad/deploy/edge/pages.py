"""What the edge itself answers: plain, helpful pages. Pure text; `%` is doubled where HAProxy expands it."""

from __future__ import annotations

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.6 system-ui,sans-serif;max-width:38rem;margin:15vh auto;padding:0 1.5rem}"
    "h1{font-size:1.4rem;margin:0 0 .5rem}p{margin:.5rem 0}code{font-size:.95em}small{opacity:.65}"
)


def _page(title: str, *paragraphs: str, refresh: int | None = None) -> str:
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh is not None else ""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{body}<p><small>Riad</small></p></body></html>\n"
    )


def no_such_service(riad_url: str) -> str:
    """A log-format file: `%[var(txn.shown)]` is the host that was asked for, reduced to harmless characters."""
    page = _page(
        "No service answers here",
        "Nothing has been released as <code>HOST</code>, or it has been stopped.",
        f'<a href="{riad_url}">Riad</a> lists every project with its environments and their addresses.',
    )
    return page.replace("%", "%%").replace("HOST", "%[var(txn.shown)]")


def service_down() -> str:
    """A whole HTTP response: the service has a route, but nothing accepts connections."""
    return _response(
        _page(
            "This service is not answering",
            "It is released, but its container does not accept connections: it may be starting again, or have failed.",
            "Its environment's page in Riad shows the release and how to roll back. This page tries again by itself.",
            refresh=5,
        )
    )


def riad_down() -> str:
    """A whole HTTP response: Riad's server is not there; deployed services are not touched by that."""
    return _response(
        _page(
            "Riad is starting",
            "Its server does not answer yet. Services that were released go on answering.",
            "This page tries again by itself; <code>riad status</code> on the machine says what is going on.",
            refresh=2,
        )
    )


def _response(page: str) -> str:
    head = (
        "HTTP/1.0 503 Service Unavailable",
        "Cache-Control: no-store",
        "Connection: close",
        "Content-Type: text/html; charset=utf-8",
        "Retry-After: 5",
    )
    return "\r\n".join(head) + "\r\n\r\n" + page
