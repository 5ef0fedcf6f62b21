import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.dockerclient.frames import Demultiplexer, LogChunk, Stream, frame
from riad.kernel.faults import Fault


@given(
    st.lists(st.tuples(st.sampled_from([Stream.STDOUT, Stream.STDERR]), st.binary(min_size=1)), max_size=8),
    st.integers(1, 40),
)
def test_what_was_framed_comes_out_however_the_bytes_are_cut(written: list[tuple[Stream, bytes]], piece: int) -> None:
    wire = b"".join(frame(stream, data) for stream, data in written)
    demultiplexer = Demultiplexer(framed=True)
    chunks = [c for at in range(0, len(wire), piece) for c in demultiplexer.feed(wire[at : at + piece])]
    for stream in (Stream.STDOUT, Stream.STDERR):
        assert b"".join(c.data for c in chunks if c.stream is stream) == b"".join(d for s, d in written if s is stream)


def test_the_beginning_of_a_long_frame_is_handed_on_before_its_end_arrives() -> None:
    demultiplexer = Demultiplexer(framed=True)
    assert list(demultiplexer.feed(frame(Stream.STDOUT, b"x" * 100)[:20])) == [LogChunk(Stream.STDOUT, b"x" * 12)]


def test_a_terminal_has_no_frames() -> None:
    assert list(Demultiplexer(framed=False).feed(b"\x01\x00raw")) == [LogChunk(Stream.STDOUT, b"\x01\x00raw")]


def test_bytes_that_are_no_frame_are_refused() -> None:
    with pytest.raises(Fault, match="frame of unknown kind 104"):
        list(Demultiplexer(framed=True).feed(b"hello world"))
