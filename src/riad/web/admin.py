"""What administrators do with users."""

from __future__ import annotations

from fastapi import Response

from riad.identity import passwords, permissions, users
from riad.identity.model import User
from riad.kernel.faults import Fault, invalid
from riad.web.pages import Pages
from riad.web.visit import Visit

PER_PAGE = 50


def add(pages: Pages) -> None:
    pages.get("/admin/users")(listed)
    pages.post("/admin/users")(create)
    pages.post("/admin/users/change")(change)


def listed(visit: Visit) -> Response:
    permissions.require_admin(visit.principal)
    return _page(visit)


def _page(visit: Visit, *, shown: tuple[User, str] | None = None, fault: Fault | None = None) -> Response:
    """`shown` is a user with the one-time password that has just been made."""
    search = visit.query("search").strip()[:100]
    with visit.services.database.read() as session:
        found, total = users.find(
            session, search=search or None, offset=(visit.page_number - 1) * PER_PAGE, limit=PER_PAGE
        )
    return visit.render(
        "admin_users.html",
        status=200 if fault is None else 422,
        users=found,
        total=total,
        per_page=PER_PAGE,
        search=search,
        shown=shown,
        fault=fault,
        form=visit.form,
    )


def create(visit: Visit) -> Response:
    permissions.require_admin(visit.principal)
    password = passwords.one_time()
    try:
        with visit.write() as session:
            made = users.create(
                session,
                username=visit.field("username"),
                name=visit.field("name") or None,
                email=visit.field("email") or None,
                password=password,
                is_admin=bool(visit.field("admin")),
                must_change_password=True,
                clock=visit.services.clock,
            )
    except Fault as fault:
        return _page(visit, fault=fault)
    return _page(visit, shown=(made, password))


def change(visit: Visit) -> Response:
    """Blocks, unblocks, promotes, demotes, or gives a new one-time password."""
    permissions.require_admin(visit.principal)
    target = users.by_username(visit.session, visit.field("username"))
    if target is None:
        raise invalid("choose a user")
    what = visit.field("what")
    password = passwords.one_time()
    with visit.write() as session:
        match what:
            case "block":
                users.block(session, target.id)
            case "unblock":
                users.unblock(session, target.id)
            case "promote" | "demote":
                users.set_admin(session, target.id, what == "promote")
            case "password":
                users.change_password(session, target.id, password, one_time=True)
            case _:
                raise invalid("choose what to do")
    return _page(visit, shown=(target, password)) if what == "password" else visit.go("/admin/users")
