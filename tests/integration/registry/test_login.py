import base64

import pytest

from fakes.asgi import TestClient
from fakes.registry_house import PASSWORD, House, digest
from riad.identity import members
from riad.identity import tokens as identity_tokens
from riad.identity.model import Access
from riad.protocols.ocidist import tokens

from .conftest import client_of


@pytest.fixture
def anyone(house: House) -> TestClient:
    return client_of(house)


def token(client: TestClient, *scopes: str, auth: tuple[str, str] | None = None) -> str:
    response = client.get("/jwt/auth", params={"service": tokens.SERVICE, "scope": list(scopes)}, auth=auth)
    assert response.status_code == 200, response.text
    return str(response.json()["token"])


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_client_is_told_where_to_log_in(anyone: TestClient) -> None:
    response = anyone.get("/v2/")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == (
        'Bearer realm="http://localhost:8080/jwt/auth",service="container_registry"'
    )
    assert response.headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_the_login_address_is_at_the_name_the_client_used(anyone: TestClient) -> None:
    response = anyone.get("/v2/", headers={"Host": "riad.internal:8080"})
    assert 'realm="http://riad.internal:8080/jwt/auth"' in response.headers["WWW-Authenticate"]


def test_a_log_in_with_password_or_personal_token_is_good_for_the_check(house: House, anyone: TestClient) -> None:
    with house.database.write() as session:
        _, secret = identity_tokens.create_personal(session, house.dana, "cli", ["read_registry"], clock=house.clock)
    for password in (PASSWORD, secret):
        assert anyone.get("/v2/", headers=bearer(token(anyone, auth=("dana", password)))).status_code == 200
        assert anyone.get("/v2/", auth=("dana", password)).status_code == 200


def test_a_wrong_password_is_told_at_once(anyone: TestClient) -> None:
    response = anyone.get("/jwt/auth", params={"service": tokens.SERVICE}, auth=("dana", "wrong"))
    assert (response.status_code, response.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    assert anyone.get("/v2/", auth=("dana", "wrong")).status_code == 401


def test_a_token_is_good_for_what_was_asked_and_nothing_else(anyone: TestClient) -> None:
    pull_only = token(anyone, "repository:demo/app:pull", auth=("dana", PASSWORD))
    refused = anyone.post("/v2/demo/app/blobs/uploads/", headers=bearer(pull_only))
    assert refused.status_code == 401
    assert 'scope="repository:demo/app:pull,push",error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    push = token(anyone, "repository:demo/app:pull,push", auth=("dana", PASSWORD))
    assert anyone.post("/v2/demo/app/blobs/uploads/", headers=bearer(push)).status_code == 202


def test_several_scopes_are_given_at_once_repeated_or_joined(house: House, anyone: TestClient) -> None:
    asked = ("repository:demo/app:pull,push", "repository:demo/open:pull nonsense repository:demo/none:pull")
    claims = tokens.verify(b"k" * 32, token(anyone, *asked, auth=("dana", PASSWORD)), now=house.clock.now())
    assert claims.granted == {
        "repository:demo/app": frozenset({"pull", "push"}),
        "repository:demo/open": frozenset({"pull"}),
    }


def test_anyone_pulls_public_images_and_nobody_pushes_unasked(house: House, anyone: TestClient) -> None:
    blob = b"public"
    with client_of(house) as root:
        root.post(f"/v2/demo/open/blobs/uploads/?digest={digest(blob)}", content=blob, auth=("root", PASSWORD))
    address = f"/v2/demo/open/blobs/{digest(blob)}"
    assert anyone.get(address).content == blob
    assert anyone.get(address, headers=bearer(token(anyone, "repository:demo/open:pull"))).content == blob
    assert anyone.post("/v2/demo/open/blobs/uploads/").status_code == 401
    refused = anyone.post("/v2/demo/open/blobs/uploads/", auth=("sam", PASSWORD))
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "DENIED")
    assert "developer role" in refused.json()["errors"][0]["message"]


def test_a_private_project_looks_like_none_to_strangers(anyone: TestClient) -> None:
    for name in ("demo/app", "demo/none"):
        refused = anyone.get(f"/v2/{name}/tags/list", auth=("sam", PASSWORD))
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
        assert anyone.get(f"/v2/{name}/tags/list").status_code == 401


def test_a_push_without_a_project_names_the_way_out(anyone: TestClient) -> None:
    refused = anyone.post("/v2/demo/none/blobs/uploads/", auth=("root", PASSWORD))
    assert refused.status_code == 404
    assert "create it first" in refused.json()["errors"][0]["message"]


def test_a_token_whose_scopes_do_not_cover_pushing_cannot_push(house: House, anyone: TestClient) -> None:
    with house.database.write() as session:
        _, secret = identity_tokens.create_personal(session, house.dana, "cli", ["read_registry"], clock=house.clock)
    assert anyone.post("/v2/demo/app/blobs/uploads/", auth=("dana", secret)).status_code == 403


def test_a_job_pushes_to_its_own_project_alone(house: House, anyone: TestClient) -> None:
    own = house.projects.known["demo/app"].id
    with house.database.write() as session:
        secret = identity_tokens.issue_job(session, user_id=house.dana, project_id=own, job_id=7, clock=house.clock)
    login = ("gitlab-ci-token", secret)
    assert anyone.post("/v2/demo/app/blobs/uploads/", auth=login).status_code == 202
    assert anyone.post("/v2/demo/open/blobs/uploads/", auth=login).status_code == 403
    push = token(anyone, "repository:demo/app:pull,push", auth=login)
    assert anyone.post("/v2/demo/app/blobs/uploads/", headers=bearer(push)).status_code == 202


def test_what_a_job_was_given_ends_with_the_job(house: House, anyone: TestClient) -> None:
    own = house.projects.known["demo/app"].id
    with house.database.write() as session:
        secret = identity_tokens.issue_job(session, user_id=house.dana, project_id=own, job_id=7, clock=house.clock)
    push = token(anyone, "repository:demo/app:pull,push", auth=("gitlab-ci-token", secret))
    with house.database.write() as session:
        identity_tokens.revoke_job(session, 7)
    refused = anyone.post("/v2/demo/app/blobs/uploads/", headers=bearer(push))
    assert (refused.status_code, "the token's job has ended" in refused.text) == (401, True)


def test_images_stay_with_their_project_when_another_gets_its_path(house: House, anyone: TestClient) -> None:
    blob = b"private"
    anyone.post(f"/v2/demo/app/blobs/uploads/?digest={digest(blob)}", content=blob, auth=("dana", PASSWORD))
    renamed = house.projects.known["demo/app"]
    house.projects.known["demo/renamed"] = renamed
    newcomer = house.projects.add("demo/app", renamed.group_id, renamed.visibility)
    with house.database.write() as session:
        members.set(
            session,
            source="project",
            source_id=newcomer.id,
            user_id=house.sam,
            access=Access.DEVELOPER,
            clock=house.clock,
        )
    refused = anyone.get(f"/v2/demo/app/blobs/{digest(blob)}", auth=("sam", PASSWORD))
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
    assert anyone.post("/v2/demo/app/blobs/uploads/", auth=("sam", PASSWORD)).status_code == 404
    assert anyone.get(f"/v2/demo/app/blobs/{digest(blob)}", auth=("dana", PASSWORD)).content == blob


def test_a_token_that_is_over_is_asked_for_again(house: House, anyone: TestClient) -> None:
    old = token(anyone, "repository:demo/app:pull", auth=("dana", PASSWORD))
    house.clock.advance(tokens.LIFETIME)
    refused = anyone.get("/v2/demo/app/tags/list", headers=bearer(old))
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_pull_credentials_read_their_repository_alone(house: House, anyone: TestClient) -> None:
    blob = b"private"
    anyone.post(f"/v2/demo/app/blobs/uploads/?digest={digest(blob)}", content=blob, auth=("dana", PASSWORD))
    login = tokens.pull_credentials(b"k" * 32, "demo/app", now=house.clock.now())
    assert anyone.get(f"/v2/demo/app/blobs/{digest(blob)}", auth=login).content == blob
    assert anyone.get("/v2/demo/app/worker/tags/list", auth=login).status_code == 401
    assert anyone.post("/v2/demo/app/blobs/uploads/", auth=login).status_code == 401


def test_the_oauth_form_takes_a_password_and_refuses_what_it_does_not_know(anyone: TestClient) -> None:
    form = {"service": tokens.SERVICE, "client_id": "test", "scope": "repository:demo/app:pull"}
    given = anyone.post("/jwt/auth", data=form | {"grant_type": "password", "username": "dana", "password": PASSWORD})
    assert anyone.get("/v2/", headers=bearer(given.json()["access_token"])).status_code == 200
    assert anyone.post("/jwt/auth", data=form | {"grant_type": "refresh_token"}).status_code == 415


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Bearer", "Bearer a.b.c", "Digest x", "Basic " + base64.b64encode(b"\xff").decode()],
)
def test_damaged_credentials_are_refused_not_ignored(anyone: TestClient, header: str) -> None:
    assert anyone.get("/v2/", headers={"Authorization": header}).status_code == 401
