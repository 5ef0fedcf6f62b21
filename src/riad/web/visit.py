"""One request to a page: who asks, with which form, and the answers a handler can give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from riad.identity.model import Principal, User
from riad.kernel.faults import not_found, unauthenticated
from riad.web import templates
from riad.web.services import Services


@dataclass(frozen=True, slots=True)
class Visit:
    """`session` only reads; changes are made in `write()`. `secret` is the cookie's, `csrf` the token for its forms."""

    services: Services
    request: Request
    session: Session
    principal: Principal
    secret: str
    csrf: str
    form: Mapping[str, str]

    @property
    def user(self) -> User:
        """Raises UNAUTHENTICATED, which leads to the sign-in page."""
        if self.principal.user is None:
            raise unauthenticated("sign in to go on")
        return self.principal.user

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self.services.database.write() as session:
            yield session

    @property
    def partial(self) -> bool:
        """Whether htmx asks for a part of the page alone."""
        return "hx-request" in self.request.headers

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """A number of the path. Raises NOT_FOUND for anything else."""
        text = self.path(name)
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise not_found("this page does not exist")
        return int(text)

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    @property
    def page_number(self) -> int:
        text = self.query("page", "1")
        return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1

    def field(self, name: str) -> str:
        return self.form.get(name, "").strip()

    def render(self, template: str, *, status: int = 200, **values: object) -> Response:
        body = templates.render(template, visit=self, **values)
        return Response(body, status, media_type="text/html; charset=utf-8")

    def go(self, address: str, *, notice: str | None = None) -> Response:
        """Leads on after a form was taken (303); `notice` is shown once on the next page."""
        response = RedirectResponse(address, 303)
        if notice is not None:
            response.set_cookie(NOTICE, quote(notice[:400]), max_age=30, httponly=True, samesite="lax")
        return response


NOTICE = "riad_notice"
