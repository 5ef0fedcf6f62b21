from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.containers.logs import entries, segments
from riad.engine.containers.logs.read import Follow, Place, Selection, cut, read, tail_place
from riad.engine.containers.logs.show import Show, View
from riad.engine.containers.registry import enlist
from riad.engine.dockerapi.streams import frame
from riad.engine.host.inotify import Watches

_RAW = View(framed=False)
_ALL = Selection()


def _line(number: int, *, stream: str = "stdout", mark: str = "F", text: str | None = None) -> bytes:
    stamp = f"2024-01-01T00:{number // 60:02}:{number % 60:02}.000000000+00:00"
    return f"{stamp} {stream} {mark} {text if text is not None else number}\n".encode()


def _at(number: int) -> int:
    return entries.nanoseconds(_line(number)[:35])


def _write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


async def _texts(path: Path, selection: Selection = _ALL, *, view: View = _RAW, follow: Follow | None = None) -> bytes:
    show = Show(view)
    return b"".join([show(block.data) async for block in read(path, selection, follow=follow)])


@pytest.fixture
async def watches() -> AsyncIterator[Watches]:
    found = Watches()
    yield found
    found.close()


def _following(watches: Watches) -> Follow:
    return Follow(watches, asyncio.get_running_loop().create_future())


async def test_parts_of_a_line_are_joined(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1, mark="P", text="a"), _line(1, mark="P", text="b"), _line(1, text="c")])
    assert await _texts(path) == b"abc\n"
    assert (await _texts(path, view=View(times=True, framed=False))).count(b"2024-") == 1


async def test_text_that_looks_like_a_part_is_left_alone(tmp_path: Path) -> None:
    odd = "2024-01-01T00:00:00.000000000+00:00 stdout P x"
    path = _write(tmp_path / "log", [_line(1, text=odd), _line(2), _line(3, mark="P", text="a"), _line(3, text="b")])
    assert await _texts(path) == f"{odd}\n2\nab\n".encode()


async def test_each_line_is_one_frame_even_when_it_was_written_in_parts(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1), _line(2, mark="P", text="a"), _line(2, text="b"), _line(3, mark="P")])
    assert await _texts(path, view=View()) == frame(1, b"1\n") + frame(1, b"ab\n") + frame(1, b"3")


async def test_streams_and_times_choose(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1), _line(2, stream="stderr"), _line(3)])
    assert await _texts(path, view=View(stderr=False, framed=False)) == b"1\n3\n"
    assert await _texts(path, view=View(stdout=False)) == frame(2, b"2\n")
    assert await _texts(path, Selection(since=_at(2))) == b"2\n3\n"
    assert await _texts(path, Selection(since=_at(2) + 1)) == b"3\n"
    assert await _texts(path, Selection(until=_at(2))) == b"1\n2\n"
    assert await _texts(path, Selection(until=_at(2) - 1)) == b"1\n"


async def test_times_of_other_zones_are_compared_as_moments(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(number).replace(b"+00:00", b"+01:00") for number in (1, 2)])
    hour = 3600 * 10**9
    assert await _texts(path, Selection(since=_at(2) - hour)) == b"2\n"
    shown = await _texts(path, Selection(tail=1), view=View(times=True, framed=False))
    assert shown == b"2023-12-31T23:00:02.000000000Z 2\n"


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("details", [None, b"", b"a=b"])
@given(
    lines=st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from("FFFP"), st.text("ab \r", max_size=1200)),
        max_size=20,
    )
)
def test_the_quick_way_shows_what_the_slow_one_does(
    framed: bool, times: bool, details: bytes | None, lines: list[tuple[str, str, str]]
) -> None:
    block = b"".join(_line(1, stream=stream, mark=mark, text=text) for stream, mark, text in lines)
    view = View(times=times, details=details, framed=framed)
    slow = Show(view)
    expected = b"".join(slow._entry(line) for line in block.split(b"\n")[:-1])
    assert Show(view)(block) == expected


@given(
    count=st.integers(0, 60), tail=st.integers(0, 70), width=st.sampled_from([1, 500, 3000]), files=st.integers(1, 4)
)
def test_tail_counts_complete_lines_whatever_their_length_over_all_files(
    tmp_path_factory: pytest.TempPathFactory, count: int, tail: int, width: int, files: int
) -> None:
    lines = [_line(number, text="x" * width + str(number)) for number in range(count)]
    log = tmp_path_factory.mktemp("logs") / "log"
    size = count // files + 1
    for start in range(0, files * size, size):
        if log.exists():
            segments.begin_new(log)
        _write(log, lines[start : start + size])
        segments.noticed(log)
    for segment in segments.uncompressed(log)[::2]:
        segments.compress(segment)
    shown = asyncio.run(_texts(log, Selection(tail=tail)))
    assert shown == b"".join(line[entries.PREFIX :] for line in lines[count - min(tail, count) :])


def test_an_unfinished_last_line_counts_as_one(tmp_path: Path) -> None:
    lines = [_line(1), _line(2), _line(3, mark="P")]
    path = _write(tmp_path / "log", lines)
    place = tail_place(path, 2)
    assert place == Place(1, len(lines[0]))


async def test_following_ends_when_the_container_has_and_everything_was_read(tmp_path: Path, watches: Watches) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    follow = _following(watches)
    reading = asyncio.ensure_future(_texts(path, follow=follow))
    await asyncio.sleep(0)
    with path.open("ab") as file:
        file.write(_line(2))
    follow.ended.set_result(0)
    assert await asyncio.wait_for(reading, 5) == b"1\n2\n"


async def test_following_goes_on_in_the_file_that_replaces_a_full_one(tmp_path: Path, watches: Watches) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    follow = _following(watches)
    stream = read(path, Selection(), follow=follow)
    assert (await anext(stream)).data == _line(1)
    with path.open("ab") as file:
        file.write(_line(2))
    _write(tmp_path / "log.tmp", [_line(3)]).rename(path)
    assert (await asyncio.wait_for(anext(stream), 5)).data == _line(2)
    assert (await asyncio.wait_for(anext(stream), 5)).data == _line(3)
    follow.ended.set_result(0)
    assert [block async for block in stream] == []


async def test_a_reader_that_was_overtaken_goes_on_with_the_oldest_file_left(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(0)])
    for number in range(1, 6):
        segments.begin_new(path)
        _write(path, [_line(number)])
    for segment in segments.uncompressed(path)[3:]:
        segments.compress(segment)
    segments.drop(path, keep=3)
    assert [segment.number for segment in segments.listed(path)] == [4, 5, 6]
    blocks = [block async for block in read(path, Selection(), start=Place(2, 7))]
    assert b"".join(block.data for block in blocks) == _line(3) + _line(4) + _line(5)
    assert blocks[-1].after == Place(6, len(_line(5)))


async def test_what_is_dropped_while_it_is_read_is_still_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    segments.begin_new(path)
    _write(path, [_line(2)])
    stream = read(path, Selection())
    assert (await anext(stream)).data == _line(1)
    segments.begin_new(path)
    segments.drop(path, keep=1)
    assert [block.data async for block in stream] == [_line(2)]


def test_files_that_need_delivery_are_kept(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    for _ in range(4):
        segments.begin_new(path)
    segments.drop(path, keep=1, delivered=3)
    assert [segment.number for segment in segments.listed(path)] == [3, 4, 5]


def test_a_crash_between_compressing_and_removing_leaves_nothing_twice(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    segments.begin_new(path)
    (tmp_path / "log.1.gz").write_bytes(b"half")
    assert [segment.path.name for segment in segments.listed(path)] == ["log.1", "log.2"]
    segments.compress(segments.uncompressed(path)[0])
    assert [segment.path.name for segment in segments.listed(path)] == ["log.1.gz", "log.2"]
    assert asyncio.run(_texts(path)) == b"1\n"


async def test_a_line_longer_than_a_block_is_not_lost(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1, text="y" * 700_000), _line(2)])
    assert len(await _texts(path)) == 700_003


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_nothing(data: bytes) -> None:
    entries.parse(data)
    Show(View())(data + b"\n")
    whole, rest = cut(data, unfinished=False)
    assert whole + rest == data


async def test_who_no_longer_waits_is_forgotten() -> None:
    waiting: list[asyncio.Future[int]] = []
    first, second = enlist(waiting), enlist(waiting)
    first.cancel()
    await asyncio.sleep(0)
    assert waiting == [second]
    second.set_result(1)


def test_a_file_that_cannot_be_compressed_stays_as_it_is(tmp_path: Path) -> None:
    path = _write(tmp_path / "log", [_line(1)])
    segments.begin_new(path)
    segment = segments.uncompressed(path)[0]
    (tmp_path / "log.1.gz").mkdir()
    assert not segments.compress(segment)
    (tmp_path / "log.1.gz").rmdir()
    assert segments.compress(segment)
    assert not segments.compress(segment)
