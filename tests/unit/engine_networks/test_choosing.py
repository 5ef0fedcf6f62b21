"""One at a time chooses subnets, and whoever gives up waiting leaves nothing locked."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from riad.engine.networks.choosing import choosing_subnets
from riad.kernel.faults import Fault, Kind


async def test_one_at_a_time_chooses(tmp_path: Path) -> None:
    inside, most = 0, 0

    async def choose() -> None:
        nonlocal inside, most
        async with choosing_subnets(lock=tmp_path / "lock"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(choose() for _ in range(5)))
    assert most == 1


async def test_the_lock_is_its_owners_alone(tmp_path: Path) -> None:
    async with choosing_subnets(lock=tmp_path / "lock"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


async def test_who_waits_too_long_is_told_of_what(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    async with choosing_subnets(lock=lock):
        with pytest.raises(Fault, match=f"another engine .* `fuser {lock}`") as caught:
            async with choosing_subnets(lock=lock, patience=0.03):
                pass
    assert caught.value.kind is Kind.UNAVAILABLE


async def test_a_waiter_that_is_cancelled_and_a_choice_that_fails_leave_the_lock_free(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    async def choose() -> None:
        async with choosing_subnets(lock=lock):
            raise ValueError

    async with choosing_subnets(lock=lock):
        waiter = asyncio.create_task(choose())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
    with pytest.raises(ValueError):
        await choose()
    async with choosing_subnets(lock=lock, patience=0):
        pass
