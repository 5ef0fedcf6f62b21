"""The rows of ps that belong to a container."""

from __future__ import annotations

import pytest

from riad.engine.containers.top import check_arguments, select
from riad.kernel.faults import Fault

_OUTPUT = """UID          PID CMD
root           7 sleep 61 now
app           12 other
root           9 threads
-              - -
"""


def test_rows_are_chosen_by_process_and_keep_the_last_columns_blanks() -> None:
    titles, rows = select(_OUTPUT, {7})
    assert titles == ["UID", "PID", "CMD"]
    assert rows == [["root", "7", "sleep 61 now"]]


def test_threads_come_with_their_process() -> None:
    assert select(_OUTPUT, {9})[1] == [["root", "9", "threads"], ["-", "-", "-"]]
    assert select(_OUTPUT, {12})[1] == [["app", "12", "other"]]


def test_output_without_process_numbers_is_refused() -> None:
    with pytest.raises(Fault, match="Couldn't find PID field in ps output"):
        select("CMD\nsleep\n", {1})


def test_no_other_column_may_be_called_pid() -> None:
    check_arguments("-o pid=PID,cmd")
    check_arguments("-ef")
    with pytest.raises(Fault, match='specifying "user=PID" is not allowed'):
        check_arguments("-o user=PID")
