"""A set of states that moves over a text, one character at a time: what regular expressions run on, in linear time.

`matches` only asks whether; `search` also where. It keeps the states in the order of preference (Pike's way), so that
it finds what a backtracking matcher would: the leftmost match, greedy or lazy as written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Test = Callable[[str], bool]


@dataclass(slots=True)
class State:
    """Takes a character (`test`), asserts a position (`at`), notes one (`mark` 1 opens the group, 2 closes it), or just
    leads on; `next` in order of preference.
    """

    test: Test | None = None
    at: Callable[[str, int], bool] | None = None
    mark: int | None = None
    next: list[int] = field(default_factory=list)


Marks = tuple[int, int, int]
"""Where the match began, where its first group began and ended; -1 is not yet."""


class Regex:
    def __init__(self, states: list[State], start: int, accept: int, *, grouped: bool) -> None:
        self._states, self._start, self._accept, self._grouped = states, start, accept, grouped

    def matches(self, text: str) -> bool:
        """Whether the pattern occurs anywhere in `text`."""
        current: dict[int, Marks] = {}
        for position in range(len(text) + 1):
            current.setdefault(self._start, (0, -1, -1))
            reached = self._closure(current, text, position)
            if self._accept in reached:
                return True
            if position < len(text):
                current = self._advance(reached, text[position])
        return False

    def search(self, text: str) -> str | None:
        """What the first match's first group holds, or the whole match where the pattern has no group."""
        current: dict[int, Marks] = {}
        best: tuple[Marks, int] | None = None
        for position in range(len(text) + 1):
            if best is None:
                current.setdefault(self._start, (position, -1, -1))
            reached = self._closure(current, text, position)
            if self._accept in reached:
                best = (reached[self._accept], position)
                order = list(reached)
                reached = {n: reached[n] for n in order[: order.index(self._accept)]}  # the rest is less preferred
            if position < len(text):
                current = self._advance(reached, text[position])
            if best is not None and not current:
                break
        if best is None:
            return None
        (began, opened, closed), end = best
        return text[opened:closed] if self._grouped else text[began:end]

    def _advance(self, states: dict[int, Marks], letter: str) -> dict[int, Marks]:
        found: dict[int, Marks] = {}
        for number, marks in states.items():
            state = self._states[number]
            if state.test is not None and state.test(letter):
                for following in state.next:
                    found.setdefault(following, marks)
        return found

    def _closure(self, states: dict[int, Marks], text: str, position: int) -> dict[int, Marks]:
        """Every state that can be reached without a character, most preferred first."""
        seen: dict[int, Marks] = {}
        waiting = [(number, marks) for number, marks in reversed(states.items())]
        while waiting:
            number, marks = waiting.pop()
            if number in seen:
                continue
            state = self._states[number]
            if state.at is not None and not state.at(text, position):
                continue
            seen[number] = marks
            if state.mark == 1:
                marks = (marks[0], position, marks[2])
            elif state.mark == 2:
                marks = (marks[0], marks[1], position)
            if state.test is None:
                waiting.extend((following, marks) for following in reversed(state.next))
        return seen
