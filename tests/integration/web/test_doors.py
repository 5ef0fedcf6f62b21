"""Who gets in, with which form, and what is told to whom."""

import pytest

from fakes.web_house import PASSWORD, House
from riad.identity import users

from .conftest import Visitor

P = "/demo/flask-hello"


def test_signing_in_sets_a_cookie_that_scripts_cannot_read(stranger: Visitor) -> None:
    answer = stranger.send("/users/sign_in", follow=False, login="dana", password=PASSWORD, next=P)
    assert answer.headers["location"] == P
    cookie = next(value for name, value in answer.headers.multi_items() if "riad_session=" in value)
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie


def test_a_wrong_password_and_an_unknown_user_read_alike(stranger: Visitor) -> None:
    wrong = stranger.send("/users/sign_in", login="dana", password="wrong")
    unknown = stranger.send("/users/sign_in", login="nobody", password="wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert "is not valid" in wrong.text and "is not valid" in unknown.text


def test_a_sign_in_leads_nowhere_else(stranger: Visitor) -> None:
    answer = stranger.send("/users/sign_in", follow=False, login="dana", password=PASSWORD, next="//evil.example")
    assert answer.headers["location"] == "/"


def test_a_one_time_password_opens_nothing_but_its_change(house: House, stranger: Visitor) -> None:
    with house.database.write() as session:
        users.change_password(session, house.dana.id, "one-time-password", one_time=True)
    assert stranger.sign_in("dana", "one-time-password").url.path == "/users/password"
    assert stranger.get(P).url.path == "/users/password"
    same = stranger.send("/users/password", password="one-time-password", again="one-time-password")
    assert same.status_code == 422
    changed = stranger.send("/users/password", password="my own password", again="my own password")
    assert changed.url.path == "/"
    assert stranger.get(P).status_code == 200


def test_signing_out_ends_the_session_everywhere_it_was_copied_to(house: House, dana: Visitor) -> None:
    secret = dana.client.cookies["riad_session"]
    dana.send("/users/sign_out", page="/")
    copied = Visitor(house)
    copied.client.cookies.set("riad_session", secret)
    assert copied.get(P).url.path == "/users/sign_in"


@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_a_form_without_its_token_is_refused(house: House, dana: Visitor, token: str | None) -> None:
    data = {"ref": "main"} | ({"csrf": token} if token is not None else {})
    answer = dana.client.post(f"{P}/-/pipelines", data=data)
    assert answer.status_code == 403
    assert house.asked.pipelines == []


def test_a_form_of_another_visitor_or_another_site_is_refused(dana: Visitor, root: Visitor) -> None:
    stolen = root.token(f"{P}/-/pipelines")
    assert dana.client.post(f"{P}/-/pipelines", data={"csrf": stolen, "ref": "main"}).status_code == 403
    own = dana.token(f"{P}/-/pipelines")
    elsewhere = dana.client.post(
        f"{P}/-/pipelines", data={"csrf": own, "ref": "main"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert elsewhere.status_code == 403


def test_every_page_forbids_scripts_of_others(stranger: Visitor, dana: Visitor) -> None:
    for answer in (stranger.get("/users/sign_in"), dana.get(P), dana.get("/demo/none"), dana.get("/nothing/here/x")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "<script>" not in answer.text and " style=" not in answer.text and "onclick" not in answer.text


def test_a_private_project_looks_like_none_to_a_stranger(sam: Visitor, stranger: Visitor) -> None:
    private, none = sam.get(P), sam.get("/demo/none")
    assert private.status_code == none.status_code == 404
    assert "flask" not in sam.get("/").text
    assert stranger.get(P).url.path == stranger.get("/demo/none").url.path == "/users/sign_in"


def test_a_stranger_reads_public_projects(stranger: Visitor) -> None:
    assert stranger.get("/demo/handbook").status_code == 200
    assert "Handbook" in stranger.get("/").text


@pytest.mark.parametrize("page", ["/-/settings", "/-/environments/1/rollback/2"])
def test_a_role_too_low_is_told_so(house: House, dana: Visitor, page: str) -> None:
    answer = dana.get(P + page)
    assert answer.status_code == (403 if "settings" in page else 200)


def test_a_reporter_sees_no_buttons_and_may_not_press_them(house: House, dana: Visitor) -> None:
    from riad.identity import members
    from riad.identity.model import Access

    with house.database.write() as session:
        members.set(
            session,
            source="project",
            source_id=house.project.id,
            user_id=house.dana.id,
            access=Access.REPORTER,
            clock=house.clock,
        )
    assert f"{P}/-/pipelines/{house.pipelines[2]}/cancel" not in dana.get(f"{P}/-/pipelines/{house.pipelines[2]}").text
    answer = dana.send(f"{P}/-/pipelines/{house.pipelines[2]}/cancel", page="/")
    assert answer.status_code == 403


def test_only_administrators_see_users(dana: Visitor, root: Visitor) -> None:
    assert dana.get("/admin/users").status_code == 403
    assert root.get("/admin/users").status_code == 200


def test_an_address_of_another_projects_pipeline_is_none(house: House, root: Visitor) -> None:
    assert root.get(f"/demo/handbook/-/pipelines/{house.pipelines[0]}").status_code == 404
    assert root.get(f"/demo/handbook/-/jobs/{house.jobs['failed/test']}").status_code == 404
    assert root.get(f"/demo/handbook/-/jobs/{house.jobs['failed/test']}/raw").status_code == 404
