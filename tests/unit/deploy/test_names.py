import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.deploy import names
from riad.deploy.names import Tier
from riad.kernel import slugs
from riad.kernel.faults import Fault


@pytest.mark.parametrize(
    ("environment", "slug"),
    [("production", "production"), ("staging", "staging"), ("env-1", "env-1")],
)
def test_a_name_that_is_a_slug_stays(environment: str, slug: str) -> None:
    assert slugs.hashed(environment) == slug


@given(st.text(min_size=1))
def test_a_slug_is_always_a_short_label(text: str) -> None:
    slug = slugs.hashed(text)
    assert len(slug) <= 24
    assert slug[0].isalpha() and not slug.endswith("-")
    assert names.service_name(slug) == slug


def test_names_that_differ_have_slugs_that_differ() -> None:
    assert slugs.hashed("review/a") != slugs.hashed("review-a") != slugs.hashed("Review/a")


@pytest.mark.parametrize(
    ("environment", "tier"),
    [("production", Tier.PRODUCTION), ("live", Tier.PRODUCTION), ("staging", Tier.STAGING),
     ("review/x", Tier.DEVELOPMENT), ("qa", Tier.TESTING), ("customer", Tier.OTHER)],
)  # fmt: skip
def test_the_tier_is_gitlabs(environment: str, tier: Tier) -> None:
    assert names.tier(environment) is tier


def _names(path: str, environment: str, *, first: bool, count: int = 4) -> list[str]:
    return list(itertools.islice(names.service_candidates(path, environment, first=first), count))


def test_production_answers_on_the_projects_name() -> None:
    assert _names("demo/flask-hello", "production", first=False)[0] == "flask-hello"


def test_another_environment_has_its_slug_behind_the_name() -> None:
    assert _names("demo/flask-hello", "staging", first=False)[0] == "flask-hello-staging"


def test_a_taken_name_gets_its_group_and_then_a_number() -> None:
    found = _names("demo/flask-hello", "production", first=True)
    assert found == ["flask-hello", "flask-hello-production", "demo-flask-hello", "flask-hello-2"]


def test_signs_that_host_names_do_not_have_are_replaced() -> None:
    assert _names("a/My_App.v2", "production", first=True)[0] == "my-app-v2"


@pytest.mark.parametrize("text", ["", "Shop", "-a", "a-", "a.b", "ä", "a" * 64])
def test_a_bad_service_name_is_refused(text: str) -> None:
    with pytest.raises(Fault, match="service name"):
        names.service_name(text)


@pytest.mark.parametrize("text", ["", "/x", "x/", "a\nb", " "])
def test_a_bad_environment_name_is_refused(text: str) -> None:
    with pytest.raises(Fault, match="environment name"):
        names.environment_name(text)
