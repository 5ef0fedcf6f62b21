import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from sqlalchemy.orm import Session

from riad.identity import authenticate, passwords, root, sessions, tokens, users
from riad.identity.model import Kind, Scope
from riad.kernel import faults
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.kernel.faults import Fault


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def session(database: Database):
    with database.write() as session:
        yield session


@pytest.fixture
def ada(session: Session, clock: FixedClock):
    return users.create(session, username="Ada", password="correct horse", email="ada@example.com", clock=clock)


def refused(act) -> None:
    with pytest.raises(Fault) as caught:
        act()
    assert caught.value.kind is faults.Kind.UNAUTHENTICATED
    assert caught.value.message == authenticate.refused().message


def test_a_password_is_enough_with_username_or_email_in_any_case(session, clock, ada) -> None:
    for name in ("Ada", "ada", "ADA@example.com"):
        principal = authenticate.basic(session, name, "correct horse", clock=clock)
        assert (principal.user, principal.kind) == (ada, Kind.PASSWORD)
        assert principal.covers(Scope.WRITE_REGISTRY)


def test_every_refusal_sounds_the_same(session, clock, ada) -> None:
    refused(lambda: authenticate.basic(session, "ada", "wrong", clock=clock))
    refused(lambda: authenticate.basic(session, "nobody", "wrong", clock=clock))
    refused(lambda: authenticate.basic(session, "gitlab-ci-token", "correct horse", clock=clock))
    refused(lambda: authenticate.token(session, "rpat-unknown", clock=clock))
    users.create(session, username="other", is_admin=True, clock=clock)
    users.block(session, ada.id)
    refused(lambda: authenticate.basic(session, "ada", "correct horse", clock=clock))


def test_a_token_serves_as_password_with_any_username(session, clock, ada) -> None:
    row, secret = tokens.create_personal(session, ada.id, "ci", ["read_registry"], clock=clock)
    principal = authenticate.basic(session, "whoever", secret, clock=clock)
    assert (principal.user, principal.kind, principal.token_id) == (ada, Kind.TOKEN, row.id)
    assert not principal.covers(Scope.READ_API)


def test_a_token_ends_when_it_expires_or_is_revoked_or_its_user_blocked(session, clock, ada) -> None:
    day = clock.now() + timedelta(days=1)
    _, short = tokens.create_personal(session, ada.id, "short", ["api"], day, clock=clock)
    row, other = tokens.create_personal(session, ada.id, "other", ["api"], clock=clock)
    assert authenticate.token(session, short, clock=clock).user == ada
    clock.advance(timedelta(days=1))
    refused(lambda: authenticate.token(session, short, clock=clock))
    tokens.revoke(session, row.id)
    refused(lambda: authenticate.token(session, other, clock=clock))


def test_secrets_are_kept_only_as_hashes(session, clock, ada) -> None:
    row, secret = tokens.create_personal(session, ada.id, "ci", ["api"], clock=clock)
    assert len(secret) > 30
    assert secret not in str(vars(row))


def test_a_job_token_names_its_job_and_ends_with_it(session, clock, ada) -> None:
    first = tokens.issue_job(session, user_id=ada.id, project_id=7, job_id=3, clock=clock)
    again = tokens.issue_job(session, user_id=ada.id, project_id=7, job_id=3, clock=clock)
    refused(lambda: authenticate.token(session, first, clock=clock))
    principal = authenticate.basic(session, "gitlab-ci-token", again, clock=clock)
    assert (principal.kind, principal.project_id, principal.job_id) == (Kind.JOB, 7, 3)
    assert not principal.covers(Scope.WRITE_REPOSITORY)
    tokens.revoke_job(session, 3)
    refused(lambda: authenticate.token(session, again, clock=clock))


def test_a_one_time_password_is_good_for_signing_in_alone(session, clock, ada) -> None:
    users.change_password(session, ada.id, "first and only", one_time=True)
    with pytest.raises(Fault, match="choose your own first") as caught:
        authenticate.basic(session, "ada", "first and only", clock=clock)
    assert caught.value.kind is faults.Kind.DENIED
    assert authenticate.sign_in(session, "ada", "first and only").must_change_password
    with pytest.raises(Fault, match="choose a new one"):
        users.change_password(session, ada.id, "first and only")
    users.change_password(session, ada.id, "my very own")
    assert authenticate.basic(session, "ada", "my very own", clock=clock).user is not None


def test_a_session_lasts_until_it_is_closed_or_runs_out(session, clock, ada) -> None:
    one = sessions.open(session, ada.id, clock=clock)
    two = sessions.open(session, ada.id, clock=clock)
    assert sessions.principal(session, one, clock=clock).user == ada
    sessions.close(session, one)
    refused(lambda: sessions.principal(session, one, clock=clock))
    clock.advance(sessions.LIFETIME)
    refused(lambda: sessions.principal(session, two, clock=clock))


def test_a_changed_password_ends_every_session(session, clock, ada) -> None:
    secret = sessions.open(session, ada.id, clock=clock)
    users.change_password(session, ada.id, "another one")
    refused(lambda: sessions.principal(session, secret, clock=clock))


def test_root_is_made_once_with_a_one_time_password(session, clock) -> None:
    made = root.ensure(session, clock=clock)
    assert made.user.is_admin
    assert made.one_time_password is not None
    assert authenticate.sign_in(session, "root", made.one_time_password).must_change_password
    assert root.ensure(session, password="something else", clock=clock).one_time_password is None
    refused(lambda: authenticate.sign_in(session, "root", "something else"))


def test_roots_preset_token_follows_the_environment(session, clock) -> None:
    root.ensure(session, password="presetted", token="first-token", clock=clock)
    root.ensure(session, token="second-token", clock=clock)
    refused(lambda: authenticate.token(session, "first-token", clock=clock))
    assert authenticate.token(session, "second-token", clock=clock).covers(Scope.API)
    root.ensure(session, token="first-token", clock=clock)
    assert authenticate.token(session, "first-token", clock=clock).user is not None
    refused(lambda: authenticate.token(session, "second-token", clock=clock))
    with pytest.raises(Fault, match="RIAD_ROOT_TOKEN needs at least 8"):
        root.ensure(session, token="short", clock=clock)


def test_a_use_is_recorded_now_and_then(session, clock, ada) -> None:
    row, _ = tokens.create_personal(session, ada.id, "ci", ["api"], clock=clock)
    assert tokens.use_is_due(session, row.id, clock=clock)
    tokens.used(session, row.id, clock=clock)
    assert not tokens.use_is_due(session, row.id, clock=clock)
    clock.advance(tokens.USE_RECORDED)
    assert tokens.use_is_due(session, row.id, clock=clock)


def test_a_flood_of_guesses_is_turned_away_instead_of_taking_every_thread() -> None:
    gate = threading.Event()

    class Slow:
        def verify(self, *_: str) -> bool:
            gate.wait(10)
            return True

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(20) as pool:
        patch.setattr(passwords, "_HASHER", Slow())
        guesses = [pool.submit(passwords.matches, "guess", "hash") for _ in range(20)]
        try:
            refused = [guess.exception() for guess in islice(as_completed(guesses, timeout=10), 12)]
        finally:
            gate.set()
    assert all(isinstance(error, Fault) and error.kind is faults.Kind.EXHAUSTED for error in refused)
    assert sum(guess.exception() is None for guess in guesses) == 8
