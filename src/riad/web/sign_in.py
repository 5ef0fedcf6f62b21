"""Signing in and out, and the change of a one-time password."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import RedirectResponse

from riad.identity import authenticate, sessions, users
from riad.kernel.faults import Fault, Kind, invalid
from riad.web.pages import Pages, is_secure
from riad.web.protection import own_address
from riad.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/users/sign_in")(form)
    pages.post("/users/sign_in")(sign_in)
    pages.post("/users/sign_out")(sign_out)
    pages.get("/users/password")(password_form)
    pages.post("/users/password")(change_password)


def form(visit: Visit) -> Response:
    following = own_address(visit.query("next", "/"))
    if visit.principal.user is not None:
        return RedirectResponse(following, 303)
    return visit.render("sign_in.html", following=following, login="", fault=None)


def sign_in(visit: Visit) -> Response:
    following, login = own_address(visit.form.get("next", "/")), visit.field("login")
    try:
        user = authenticate.sign_in(visit.session, login, visit.form.get("password", ""))
    except Fault as fault:
        return visit.render("sign_in.html", status=401, following=following, login=login, fault=fault)
    return _signed_in(visit, user.id, "/users/password" if user.must_change_password else following)


def _signed_in(visit: Visit, user_id: int, following: str, notice: str | None = None) -> Response:
    with visit.write() as session:
        secret = sessions.open(session, user_id, clock=visit.services.clock)
    response = visit.go(following, notice=notice)
    response.set_cookie(
        sessions.COOKIE,
        secret,
        max_age=int(sessions.LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_secure(visit.services),
    )
    return response


def sign_out(visit: Visit) -> Response:
    with visit.write() as session:
        sessions.close(session, visit.secret)
    response = visit.go("/users/sign_in")
    response.delete_cookie(sessions.COOKIE)
    return response


def password_form(visit: Visit) -> Response:
    return visit.render("password.html", fault=None, forced=visit.user.must_change_password)


def change_password(visit: Visit) -> Response:
    user = visit.user
    wanted = visit.form.get("password", "")
    try:
        if not user.must_change_password:
            _check_present(visit)
        if wanted != visit.form.get("again", ""):
            raise invalid("the two new passwords differ")
        with visit.write() as session:
            users.change_password(session, user.id, wanted)
    except Fault as fault:
        return visit.render("password.html", status=422, fault=fault, forced=user.must_change_password)
    return _signed_in(visit, user.id, "/", "Your password was changed; other sessions have ended.")


def _check_present(visit: Visit) -> None:
    try:
        authenticate.sign_in(visit.session, visit.user.username, visit.form.get("present", ""))
    except Fault as fault:
        if fault.kind is not Kind.UNAUTHENTICATED:
            raise
        raise invalid("the present password is not right") from None
