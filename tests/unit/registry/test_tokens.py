from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.identity.model import ANONYMOUS
from riad.kernel.faults import Fault, Kind
from riad.protocols.ocidist import tokens
from riad.protocols.ocidist.blobs import byte_range
from riad.protocols.ocidist.errors import CODE, REASONS, STATUS

KEY = b"k" * 32
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_token_carries_what_it_was_given() -> None:
    granted = {"repository:demo/app": frozenset({"pull", "push"})}
    claims = tokens.verify(KEY, tokens.issue(KEY, ANONYMOUS, granted, now=NOW), now=NOW)
    assert claims.granted == granted
    assert claims.user_id is None


def test_a_token_ends() -> None:
    token = tokens.issue(KEY, ANONYMOUS, {}, now=NOW)
    with pytest.raises(Fault) as refused:
        tokens.verify(KEY, token, now=NOW + tokens.LIFETIME)
    assert refused.value.kind is Kind.UNAUTHENTICATED


@given(st.integers(0, 400), st.characters(codec="ascii"))
def test_a_changed_token_is_refused(place: int, letter: str) -> None:
    token = tokens.issue(KEY, ANONYMOUS, {}, now=NOW)
    place %= len(token) - 1  # the last character of base64 has bits that say nothing
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(Fault):
            tokens.verify(KEY, changed, now=NOW)


@given(st.text(max_size=60))
def test_strangers_text_is_no_token(text: str) -> None:
    with pytest.raises(Fault):
        tokens.verify(KEY, text, now=NOW)


def test_pull_credentials_are_for_one_repository() -> None:
    username, password = tokens.pull_credentials(KEY, "demo/app", now=NOW)
    claims = tokens.verify(KEY, password, now=NOW + timedelta(minutes=59))
    assert username == tokens.PULL_USERNAME
    assert claims.granted == {"repository:demo/app": frozenset({"pull"})}


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    first = tokens.load_key(tmp_path / "keys" / "registry")
    assert tokens.load_key(tmp_path / "keys" / "registry") == first
    assert (tmp_path / "keys" / "registry").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-900", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-900", (0, 100)),
        ("bytes=100-", (100, 100)),
        ("bytes=9-1", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
    ],
)
def test_a_byte_range_is_read_as_http_says(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected


def test_every_kind_of_fault_has_a_status_and_a_code() -> None:
    assert set(STATUS) == set(CODE) == set(Kind)
    assert all(400 <= status < 500 for status, _ in REASONS.values())


def test_a_damaged_key_is_refused_since_anybody_could_sign_with_it(tmp_path: Path) -> None:
    (tmp_path / "registry.key").write_bytes(b"")
    with pytest.raises(Fault, match="not a signing key"):
        tokens.load_key(tmp_path / "registry.key")
