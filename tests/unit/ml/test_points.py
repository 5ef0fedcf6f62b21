import math

from hypothesis import given
from hypothesis import strategies as st

from riad.ml.points import Series, encode, sample

NUMBERS = st.integers(-(2**63), 2**63 - 1)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS, st.floats(allow_nan=False)), max_size=30)


def series(*points: tuple[int, int, float]) -> Series:
    return Series((1, encode([step], [at], [value])) for step, at, value in points)


@given(st.lists(POINTS, max_size=4))
def test_what_was_kept_in_blocks_comes_back(blocks: list[list[tuple[int, int, float]]]) -> None:
    kept = Series(
        (len(each), encode([p[0] for p in each], [p[1] for p in each], [p[2] for p in each])) for each in blocks
    )
    points = {point for block in blocks for point in block}
    assert sorted(kept.by_step()) == sorted(points)
    assert kept.by_step() == sorted(kept.by_step())
    assert kept.by_time() == sorted(kept.by_time(), key=lambda p: (p[1], p[0], p[2]))


def test_equal_points_are_one_and_nan_is_equal_to_itself() -> None:
    found = series((1, 5, math.nan), (2, 6, 0.5), (1, 5, math.nan), (2, 6, 0.5), (2, 6, 0.25)).by_step()
    assert [(step, at) for step, at, _ in found] == [(1, 5), (2, 6), (2, 6)]
    assert math.isnan(found[0][2])


@given(st.lists(NUMBERS, min_size=1), st.integers(1, 40))
def test_a_sample_keeps_the_ends_and_the_number(steps: list[int], most: int) -> None:
    found = sample(steps, most)
    assert len(found) == min(most, len(set(steps)))
    assert set(found) <= set(steps)
    assert found == sorted(set(found))
    assert max(steps) in found
    assert most == 1 or min(steps) in found
