import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.web import ansi, log_state
from riad.web.ansi import Closed, State, Style, apply, nearest, palette, render

TAGS = re.compile(r'<span class="[a-z0-9 ]+">|</span>')


def shown(text: str) -> list[str]:
    return [row.html for row in render(text.encode(), ended=True).rows]


def test_text_is_escaped() -> None:
    assert shown('<script>&"') == ["&lt;script&gt;&amp;&quot;"]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("\x1b[31mred\x1b[0m plain", '<span class="f1">red</span> plain'),
        ("\x1b[1;32m$ ls\x1b[0;m", '<span class="f2 bold">$ ls</span>'),
        ("\x1b[91mbright", '<span class="f9">bright</span>'),
        ("\x1b[38;5;208morange", '<span class="f208">orange</span>'),
        ("\x1b[48;5;20mback", '<span class="b20">back</span>'),
        ("\x1b[38;2;255;0;0mtrue", '<span class="f196">true</span>'),
        ("\x1b[38:2:255:0:0mcolons", '<span class="f196">colons</span>'),
        ("\x1b[7minverse", '<span class="f0 b7">inverse</span>'),
        ("\x1b[1mbold\x1b[22mnot", '<span class="bold">bold</span>not'),
        ("\x1b[2J\x1b[H\x1b]0;title\x07text", "text"),
        ("bell\x07 and \x00nul\ttab", "bell and nul\ttab"),
        ("cut off \x1b[3", "cut off 3"),
        ("10%\r60%\r100%", "100%"),
        ("\x1b[31m10%\r100%", '<span class="f1">100%</span>'),
        ("windows\r", "windows"),
    ],
)
def test_escape_sequences_become_classes_or_nothing(text: str, html: str) -> None:
    assert shown(text) == [html]


def test_a_colour_lasts_until_it_is_reset_over_lines() -> None:
    assert shown("\x1b[31ma\nb\x1b[0m\nc") == ['<span class="f1">a</span>', '<span class="f1">b</span>', "c"]


SECTION = (
    "before\n"
    "section_start:100:build[collapsed=true]\r\x1b[0K\x1b[36mBuilding\x1b[0m\n"
    "inside\n"
    "section_end:112:build\r\x1b[0K\n"
    "after\n"
)


def test_a_section_has_a_header_its_rows_and_a_duration() -> None:
    made = render(SECTION.encode())
    assert [(row.html, row.within, row.opens, row.collapsed) for row in made.rows] == [
        ("before", (), None, False),
        ('<span class="f6">Building</span>', (), 1, True),
        ("inside", (1,), None, False),
        ("after", (), None, False),
    ]
    assert made.closed == [Closed(1, 12)]
    assert [row.number for row in made.rows] == [1, 2, 3, 4]


def test_closing_a_section_closes_what_was_left_open_in_it() -> None:
    text = "section_start:1:a\r\x1b[0KA\nsection_start:2:b\r\x1b[0KB\nx\nsection_end:9:a\r\x1b[0K\ny\n"
    made = render(text.encode())
    assert [row.within for row in made.rows] == [(), (1,), (1, 2), ()]
    assert made.closed == [Closed(1, 8), Closed(2, 7)]


def test_closing_what_was_never_open_changes_nothing() -> None:
    assert shown("section_end:9:a\r\x1b[0K\ny\n") == ["y"]


def test_one_line_may_close_a_section_and_open_the_next() -> None:
    text = "section_start:1:a\r\x1b[0KA\nsection_end:2:a\r\x1b[0Ksection_start:2:b\r\x1b[0KB\nx\n"
    made = render(text.encode())
    assert [(row.html, row.within, row.opens) for row in made.rows] == [("A", (), 1), ("B", (), 2), ("x", (2,), None)]


@given(
    st.lists(st.sampled_from(["\x1b[31m", "\x1b[0m", "text", "\n", "<b>", "\r", "ü", SECTION]), max_size=12), st.data()
)
def test_a_log_in_pieces_reads_like_the_whole_log(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).encode()
    expected = render(whole, ended=True)
    state, offset, rows, closed = State(), 0, [], []
    while offset < len(whole):
        end = data.draw(st.integers(offset + 1, len(whole)))
        carried = log_state.from_text(log_state.to_text(offset, state))
        assert carried == (offset, state)
        made = render(whole[offset:end], state, ended=end == len(whole))
        rows, closed = rows + made.rows, closed + made.closed
        state, offset = made.state, offset + made.taken
        if end == len(whole):
            break
    assert rows == expected.rows
    assert closed == expected.closed


@given(st.binary(max_size=400))
def test_any_bytes_become_balanced_spans_around_escaped_text(data: bytes) -> None:
    made = render(data)
    for row in [*made.rows, *([made.tail] if made.tail else [])]:
        bare = TAGS.sub("", row.html)
        assert "<" not in bare and ">" not in bare
        assert row.html.count("<span") == row.html.count("</span>")
        assert not any(ord(c) < 32 and c != "\t" for c in unescape(bare))
    assert made.taken <= len(data)


@given(st.text(alphabet="0123456789;:", max_size=40))
def test_any_colour_sequence_is_read(parameters: str) -> None:
    assert isinstance(apply(Style(), parameters), Style)


@given(st.text(max_size=100))
def test_a_damaged_state_begins_anew(text: str) -> None:
    found = log_state.from_text(text)
    assert found is None or found[0] >= 0


@given(st.integers(16, 255))
def test_a_palette_colour_is_its_own_nearest(number: int) -> None:
    assert palette(nearest(*palette(number))) == palette(number)


def test_a_long_line_is_cut() -> None:
    assert len(shown("x" * 100_000)[0]) == ansi.MAX_LINE


def test_an_unfinished_line_is_the_tail_and_is_sent_again() -> None:
    made = render(b"one\ntw")
    assert made.taken == 4
    assert made.tail is not None
    assert made.tail.html == "tw"
    again = render(b"two\n", made.state)
    assert (again.rows[0].html, again.rows[0].number) == ("two", 2)
