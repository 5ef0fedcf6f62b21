import pytest

from riad.deploy.model import RolloutState, moved
from riad.deploy.plan import (
    Drain,
    FetchImage,
    PruneImages,
    RemoveContainer,
    StartContainer,
    SwitchTraffic,
    WaitHealthy,
    kept,
    plan_rollout,
)
from riad.kernel.faults import Fault


def test_the_old_release_is_not_touched_before_the_switch() -> None:
    plan = plan_rollout(3, 4)
    assert plan.before == (FetchImage(), StartContainer(), WaitHealthy(), SwitchTraffic())
    assert plan.after == (Drain(3), RemoveContainer(3), PruneImages())


def test_a_first_release_has_nothing_to_retire() -> None:
    assert plan_rollout(None, 1).after == (PruneImages(),)


def test_what_is_done_after_the_switch_is_not_done_again() -> None:
    plan = plan_rollout(3, 4)
    assert plan.left_after(0) == plan.after
    assert plan.left_after(5) == (RemoveContainer(3), PruneImages())
    assert plan.left_after(7) == ()


def test_five_different_releases_keep_their_image_and_the_live_one_always_does() -> None:
    assert kept(9, [9, 8, 7, 6, 5, 4, 3]) == {9, 8, 7, 6, 5}
    assert kept(3, [9, 8, 7, 6, 5, 4, 3]) == {3, 9, 8, 7, 6}
    assert kept(2, [2, 4, 2, 3, 2, 1]) == {1, 2, 3, 4}
    assert kept(None, []) == frozenset()


def test_a_decided_rollout_is_never_decided_again() -> None:
    for state in (RolloutState.CLEANING, RolloutState.FAILING, RolloutState.DONE, RolloutState.FAILED):
        for to in (RolloutState.QUEUED, RolloutState.RUNNING):
            with pytest.raises(Fault, match="cannot become"):
                moved(state, to)
    with pytest.raises(Fault):
        moved(RolloutState.FAILING, RolloutState.CLEANING)


def test_a_rollout_that_waits_can_begin_or_fail() -> None:
    assert moved(RolloutState.QUEUED, RolloutState.RUNNING) is RolloutState.RUNNING
    assert moved(RolloutState.QUEUED, RolloutState.FAILING) is RolloutState.FAILING
