import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.dockerclient.scoped import filters
from riad.dockerclient.scoped.relay import chosen, path_of
from riad.dockerclient.scoped.rules import RULES, Action, decide
from riad.dockerclient.scoped.scope import Owner, Scope, check_labels, check_name
from riad.kernel.faults import Fault, Kind

SHOP = Scope("localhost:8080", "demo/shop", 7)


@pytest.mark.parametrize(
    ("method", "path", "action", "name"),
    [
        ("GET", "/v1.47/containers/json", Action.CONTAINER_LIST, ""),
        ("GET", "/containers/web-1/json", Action.CONTAINER, "web-1"),
        ("DELETE", "/v1.24/containers/0a1b", Action.CONTAINER, "0a1b"),
        ("GET", "/images/json", Action.IMAGE_LIST, ""),
        ("GET", "/images/localhost:8080/demo/shop:v1/json", Action.IMAGE_INSPECT, "localhost:8080/demo/shop:v1"),
        ("GET", "/images/json/json", Action.IMAGE_INSPECT, "json"),
        ("POST", "/images/localhost:8080/demo/shop/push", Action.IMAGE_PUSH, "localhost:8080/demo/shop"),
        ("GET", "/images/sha256:0a1b/json", Action.IMAGE_INSPECT, "sha256:0a1b"),
        ("POST", "/build", Action.BUILD, ""),
    ],
)
def test_a_route_with_a_rule_is_known(method: str, path: str, action: Action, name: str) -> None:
    found = decide(method, path)
    assert (found.rule.action, found.name) == (action, name)


@pytest.mark.parametrize(
    ("method", "path", "sentence"),
    [
        ("POST", "/grpc", "DOCKER_BUILDKIT=0"),
        ("POST", "/v1.47/session", "DOCKER_BUILDKIT=0"),
        ("POST", "/images/load", "pull or build"),
        ("POST", "/commit", "Dockerfile"),
        ("POST", "/containers/prune", "cannot prune"),
        ("POST", "/build/prune", "cannot prune"),
        ("POST", "/containers/x/update", "when the container is created"),
        ("GET", "/containers/x/attach/ws", "docker attach"),
        ("POST", "/swarm/init", "not among what a job may ask"),
        ("POST", "/plugins/pull", "not among"),
        ("POST", "/containers/x/nonsense", "not among"),
        ("TRACE", "/containers/json", "not among"),
        ("GET", "/", "not among"),
        ("GET", "/v1.47", "not among"),
    ],
)
def test_a_route_without_a_rule_is_refused_with_the_way_out(method: str, path: str, sentence: str) -> None:
    with pytest.raises(Fault, match=sentence) as caught:
        decide(method, path)
    assert caught.value.kind in (Kind.DENIED, Kind.UNSUPPORTED)


@pytest.mark.parametrize(
    "path",
    [
        "/containers/../json",
        "/containers/a?b/json",
        "/containers/a%2fb/json",
        "/containers/a\nb/json",
        "/images/../../containers/x/json",
        "/images/a b/json",
        "/networks/a#b",
        "/exec/../json",
    ],
)
def test_a_name_that_would_be_another_path_is_refused(path: str) -> None:
    with pytest.raises(Fault):
        decide("GET", path)


@given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]), st.text(max_size=60))
def test_any_path_is_decided_or_refused(method: str, text: str) -> None:
    try:
        found = decide(method, "/" + text)
    except Fault:
        return
    assert found.rule in RULES
    assert ".." not in found.name.split("/")


def test_a_name_stays_one_piece_of_the_path() -> None:
    assert path_of("/v1.47", "/images/{}/json", "localhost:8080/a/b@sha256:00") == (
        "/v1.47/images/localhost:8080/a/b@sha256:00/json"
    )
    assert path_of("", "/containers/{}/json", "a?b#c%2f") == "/containers/a%3Fb%23c%252f/json"


def test_only_one_value_of_a_parameter_is_passed_on_and_it_is_the_one_looked_at() -> None:
    from multidict import MultiDict

    given = MultiDict([("fromImage", "python"), ("fromImage", "localhost:8080/other/secret"), ("x", "1")])
    assert given.get("fromImage") == "python"
    assert chosen(given, frozenset({"fromImage"})) == [("fromImage", "python")]


# -- whose an image is


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("localhost:8080/demo/shop", Owner.OWN),
        ("localhost:8080/demo/shop:v1", Owner.OWN),
        ("localhost:8080/demo/shop/test/deep:v1", Owner.OWN),
        (f"localhost:8080/demo/shop@sha256:{'0' * 64}", Owner.OWN),
        ("localhost:8080/demo/shopping", Owner.OTHER),
        ("localhost:8080/demo", Owner.OTHER),
        ("localhost:8080/other/shop", Owner.OTHER),
        ("LOCALHOST:8080/other/shop", Owner.OTHER),
        ("python:3.11", Owner.NOBODY),
        ("demo/shop", Owner.NOBODY),
        ("quay.io/demo/shop", Owner.NOBODY),
    ],
)
def test_an_image_name_belongs_to_the_project_below_which_it_is(name: str, owner: Owner) -> None:
    assert SHOP.owner_of_name(name) is owner


def image(*tags: str, label: str | None = None, digests: tuple[str, ...] = ()) -> dict[str, object]:
    labels = {"riad.project": label} if label else None
    return {"Id": "sha256:00", "RepoTags": list(tags), "RepoDigests": list(digests), "Config": {"Labels": labels}}


def test_names_say_whose_an_image_is_before_labels_do() -> None:
    assert SHOP.owner_of_image(image("localhost:8080/demo/shop:1", label="other/x")) is Owner.OWN
    assert SHOP.owner_of_image(image("localhost:8080/other/x:1", label="demo/shop")) is Owner.OTHER
    assert SHOP.owner_of_image(image("python:3.11", label="demo/shop")) is Owner.NOBODY
    assert SHOP.owner_of_image(image(digests=(f"localhost:8080/other/x@sha256:{'0' * 64}",))) is Owner.OTHER
    assert SHOP.owner_of_image(image("python:3.11", "localhost:8080/other/x:1")) is Owner.OTHER


def test_without_a_name_the_label_says_it_and_without_both_it_is_not_to_be_seen() -> None:
    assert SHOP.owner_of_image(image(label="demo/shop")) is Owner.OWN
    assert SHOP.owner_of_image(image(label="other/x")) is Owner.OTHER
    assert SHOP.owner_of_image(image("<none>:<none>", label="demo/shop")) is Owner.OWN
    assert SHOP.owner_of_image(image()) is Owner.OTHER


def test_a_name_outside_of_the_project_is_refused_with_the_names_it_may_give() -> None:
    with pytest.raises(Fault, match="name it localhost:8080/demo/shop or localhost:8080/demo/shop/NAME"):
        SHOP.own_name("flask-hello:test")


def test_a_project_in_capitals_has_its_images_in_small_letters() -> None:
    assert Scope("localhost:8080", "Demo/Shop", 1).owner_of_name("localhost:8080/demo/shop:1") is Owner.OWN


# -- labels, names, filters


@pytest.mark.parametrize("label", ["riad.project", "riad.scoped", "riad.release", "RIAD.Scoped", "riad.anything"])
def test_riads_labels_cannot_be_forged(label: str) -> None:
    with pytest.raises(Fault, match="Riad's own"):
        check_labels({label: "other/x"})


@pytest.mark.parametrize("name", ["riad-shop-r1", "/riad-x", "RIAD-services"])
def test_riads_names_cannot_be_taken(name: str) -> None:
    with pytest.raises(Fault, match="kept for Riad's own"):
        check_name(name, "container")


@pytest.mark.parametrize("given", ['{"label":["a=b"]}', '{"label":{"a=b":true,"c":false}}'])
def test_the_projects_label_is_added_to_the_clients_filters(given: str) -> None:
    assert filters.read(filters.own(given, SHOP)) == {"label": ["a=b", "riad.scoped=demo/shop"]}


def test_events_are_the_containers_own() -> None:
    assert filters.read(filters.own_events(None, SHOP)) == {"type": ["container"], "label": ["riad.scoped=demo/shop"]}
    with pytest.raises(Fault, match="own containers only"):
        filters.own_events('{"type":["image"]}', SHOP)


@pytest.mark.parametrize("given", ["[1]", "{", '{"label":"x"}', '{"label":[1]}'])
def test_filters_that_are_none_are_refused(given: str) -> None:
    with pytest.raises(Fault):
        filters.own(given, SHOP)
