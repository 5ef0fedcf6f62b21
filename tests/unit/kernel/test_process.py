from __future__ import annotations

import pytest

from riad.kernel import process
from riad.kernel.faults import Fault, Kind


async def test_output_and_exit_code_come_back() -> None:
    done = await process.run(["sh", "-c", "cat; echo two >&2; exit 3"], stdin=b"one", timeout=10, check=False)
    assert (done.code, done.stdout, done.stderr) == (3, b"one", b"two\n")


async def test_a_failing_program_is_named_with_what_it_said() -> None:
    with pytest.raises(Fault, match="sh failed with exit code 3: no disk"):
        await process.run(["sh", "-c", "echo no disk >&2; exit 3"], timeout=10)


async def test_a_missing_program_is_unavailable() -> None:
    with pytest.raises(Fault, match="'riad-no-such'") as caught:
        await process.run(["riad-no-such"], timeout=10)
    assert caught.value.kind is Kind.UNAVAILABLE


async def test_a_program_that_outlives_its_deadline_is_killed() -> None:
    with pytest.raises(Fault, match=r"did not finish within 0\.1 s"):
        await process.run(["sleep", "60"], timeout=0.1)
