from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from riad.pipelines.runner.masking import MASKED, Masker

SMALL = st.text("ab", min_size=1, max_size=5).map(str.encode)


@given(st.lists(SMALL, min_size=1, max_size=3), st.text("abc", max_size=60).map(str.encode), st.data())
def test_masking_piece_by_piece_equals_masking_the_whole(secrets, text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    edges = [0, *cuts, len(text)]
    masker = Masker(secrets)
    pieces = [masker.feed(text[a:b]) for a, b in pairwise(edges)]
    whole = Masker(secrets)
    assert b"".join(pieces) + masker.finish() == whole.feed(text) + whole.finish()


@given(st.lists(SMALL, min_size=1, max_size=3), st.text("abc", max_size=60).map(str.encode))
def test_no_secret_is_left_whole(secrets, text):
    masker = Masker(secrets)
    shown = masker.feed(text) + masker.finish()
    assert not any(secret in part for part in shown.split(MASKED) for secret in secrets)


def test_what_cannot_be_a_secret_goes_on_at_once():
    assert Masker(["secret-token"]).feed(b"hello\n") == b"hello\n"


def test_a_longer_secret_wins_over_the_one_it_begins_with():
    masker = Masker(["abcd1234", "abcd1234efgh"])
    assert masker.feed(b"x abcd1234") + masker.feed(b"efgh y") + masker.finish() == b"x [MASKED] y"


def test_nothing_to_mask_changes_nothing():
    masker = Masker([""])
    assert masker.feed(b"plain") + masker.finish() == b"plain"
