"""How a page is answered: who asks is found out, forms are checked, faults become pages, every answer is protected.

Handlers are plain functions from a `Visit` to a Response, run in a thread. GET handlers only read.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from riad.identity import sessions
from riad.identity.model import ANONYMOUS, Principal
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind
from riad.web import protection
from riad.web.services import Services
from riad.web.visit import NOTICE, Visit

log = logs.named("web")

Handler = Callable[[Visit], Response]

VISITOR = "riad_visitor"
"""The cookie of somebody who has not signed in: it ties the sign-in form to its page."""

STATUS = {
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 422,
    Kind.DENIED: 403,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNAVAILABLE: 503,
    Kind.UNSUPPORTED: 501,
    Kind.EXHAUSTED: 507,
    Kind.INTERNAL: 500,
}
MAX_FIELDS = 100
MAX_FORM = 1024 * 1024
OPEN_TO_NEWCOMERS = frozenset({"/users/password", "/users/sign_out"})
"""All that a user with a one-time password may open."""


class Pages:
    """Collects handlers; `routes` goes to the application."""

    def __init__(self, services: Services) -> None:
        self.routes = APIRouter(include_in_schema=False)
        self._services = services

    def get(self, path: str) -> Callable[[Handler], Handler]:
        return self._register(path, ["GET", "HEAD"])

    def post(self, path: str) -> Callable[[Handler], Handler]:
        return self._register(path, ["POST"])

    def _register(self, path: str, methods: list[str]) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            async def endpoint(request: Request) -> Response:
                form = await _form(request) if request.method == "POST" else {}
                return await run_in_threadpool(answer, self._services, handler, request, form)

            self.routes.add_route(path, endpoint, methods=methods)
            return handler

        return register


async def _form(request: Request) -> Mapping[str, str]:
    if int(request.headers.get("content-length") or 0) > MAX_FORM:
        return {}
    form = await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_FORM)
    return {name: value for name, value in form.items() if not isinstance(value, UploadFile)}


def answer(services: Services, handler: Handler, request: Request, form: Mapping[str, str]) -> Response:
    """Calls the handler; whatever goes wrong becomes a page."""
    secret = request.cookies.get(sessions.COOKIE, "")
    visitor = request.cookies.get(VISITOR) or secrets.token_urlsafe(24)
    with services.database.read() as session:
        principal = _principal(services, session, secret)
        key = secret if principal.user is not None else visitor
        visit = Visit(services, request, session, principal, key, protection.form_token(key), form)
        response = _handled(visit, handler)
    if principal.user is None and request.cookies.get(VISITOR) != visitor:
        response.set_cookie(VISITOR, visitor, httponly=True, samesite="lax", secure=is_secure(services))
    if NOTICE in request.cookies and response.status_code == 200 and not visit.partial:
        response.delete_cookie(NOTICE)
    for name, value in protection.HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def is_secure(services: Services) -> bool:
    return services.external_url.startswith("https:")


def _principal(services: Services, session: Session, secret: str) -> Principal:
    if not secret:
        return ANONYMOUS
    try:
        return sessions.principal(session, secret, clock=services.clock)
    except Fault:
        return ANONYMOUS


def _handled(visit: Visit, handler: Handler) -> Response:
    request = visit.request
    user = visit.principal.user
    if user is not None and user.must_change_password and request.url.path not in OPEN_TO_NEWCOMERS:
        return RedirectResponse("/users/password", 303)
    try:
        if request.method == "POST":
            protection.check_form(request, visit.form, visit.secret)
        return handler(visit)
    except Fault as fault:
        return _fault_page(visit, fault)
    except Exception:  # a request ends here
        log.exception("a page failed", extra=logs.fields(path=request.url.path))
        return _fault_page(visit, Fault(Kind.INTERNAL, "something went wrong; the server's log says what"))


def _fault_page(visit: Visit, fault: Fault) -> Response:
    stranger = visit.principal.user is None
    may_help = fault.kind is Kind.UNAUTHENTICATED or (stranger and fault.kind in (Kind.NOT_FOUND, Kind.DENIED))
    if may_help and visit.request.method in ("GET", "HEAD") and not visit.partial:
        # A stranger is not told what exists: signing in may show it.
        back = visit.request.url.path + ("?" + visit.request.url.query if visit.request.url.query else "")
        return RedirectResponse("/users/sign_in?next=" + quote(back), 303)
    return visit.render("fault.html", status=STATUS[fault.kind], fault=fault, code=STATUS[fault.kind])


def notice_of(request: Request) -> str:
    return unquote(request.cookies.get(NOTICE, ""))[:400]
