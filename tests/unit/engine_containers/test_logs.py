from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.containers import logs
from riad.kernel.faults import Fault

_ALL = logs.Selection()


def _line(number: int, *, stream: str = "stdout", mark: str = "F", text: str | None = None) -> bytes:
    stamp = f"2024-01-01T00:{number // 60:02}:{number % 60:02}.000000000+00:00"
    return f"{stamp} {stream} {mark} {text if text is not None else number}\n".encode()


def _write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


async def _texts(path: Path, selection: logs.Selection = _ALL, ended: asyncio.Future[int] | None = None) -> bytes:
    return b"".join([entry.text async for batch in logs.read(path, selection, ended=ended) for entry in batch])


async def test_parts_of_a_line_are_joined(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1, mark="P", text="a"), _line(1, mark="P", text="b"), _line(1, text="c")])
    assert await _texts(path) == b"abc\n"


async def test_streams_and_times_choose(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1), _line(2, stream="stderr"), _line(3)])
    assert await _texts(path, logs.Selection(stderr=False)) == b"1\n3\n"
    entries = [entry async for batch in logs.read(path, logs.Selection()) for entry in batch]
    assert await _texts(path, logs.Selection(since=entries[1].at())) == b"2\n3\n"
    assert await _texts(path, logs.Selection(until=entries[1].at())) == b"1\n2\n"


@given(count=st.integers(0, 60), tail=st.integers(0, 70), width=st.sampled_from([1, 500, 3000]))
def test_tail_counts_complete_lines_whatever_their_length(
    tmp_path_factory: pytest.TempPathFactory, count: int, tail: int, width: int
) -> None:
    lines = [_line(number, text="x" * width + str(number)) for number in range(count)]
    path = _write(tmp_path_factory.mktemp("logs") / "log", lines)
    rest = path.read_bytes()[logs.tail_offset(path, tail, end=path.stat().st_size) :]
    assert rest == b"".join(lines[count - min(tail, count) :])


def test_an_unfinished_last_line_counts_as_one(tmp_path: Path) -> None:
    lines = [_line(1), _line(2), _line(3, mark="P")]
    path = _write(tmp_path / "log", lines)
    assert path.read_bytes()[logs.tail_offset(path, 2, end=path.stat().st_size) :] == b"".join(lines[1:])


async def test_following_ends_when_the_container_has_and_everything_was_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    reading = asyncio.ensure_future(_texts(path, ended=ended))
    await asyncio.sleep(0)
    with path.open("ab") as file:
        file.write(_line(2))
    ended.set_result(0)
    assert await asyncio.wait_for(reading, 5) == b"1\n2\n"


async def test_following_goes_on_in_the_file_that_replaces_a_full_one(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stream = logs.read(path, logs.Selection(), ended=ended)
    assert [entry.text for entry in await anext(stream)] == [b"1\n"]
    _write(tmp_path / "new", [_line(2)]).rename(path)
    assert [entry.text for entry in await asyncio.wait_for(anext(stream), 5)] == [b"2\n"]
    ended.set_result(0)
    assert [batch async for batch in stream] == []


async def test_a_line_longer_than_a_block_is_not_lost(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1, text="y" * 300_000), _line(2)])
    assert len(await _texts(path)) == 300_003


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_nothing(data: bytes) -> None:
    logs.parse(data)


@pytest.mark.parametrize(
    ("text", "size"), [("10m", 10 * 2**20), ("5", 5), ("1k", 1024), ("-1", None), ("2gb", 2 * 2**30)]
)
def test_sizes(text: str, size: int | None) -> None:
    assert logs.log_limit(text) == size


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(Fault, match="max-size"):
        logs.log_limit("lots")
