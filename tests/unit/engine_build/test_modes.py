"""--chmod, with the results that chmod(1) gives."""

from __future__ import annotations

import pytest

from riad.engine.build.modes import parse_mode
from riad.kernel.faults import Fault


@pytest.mark.parametrize(
    ("text", "before", "file", "folder"),
    [
        ("755", 0o644, 0o755, 0o755),
        ("04755", 0o600, 0o4755, 0o4755),
        ("u+x", 0o644, 0o744, 0o744),
        ("+x", 0o644, 0o755, 0o755),
        ("a-w", 0o666, 0o444, 0o444),
        ("go-rwx", 0o777, 0o700, 0o700),
        ("u=rwX,go=rX", 0o600, 0o644, 0o755),
        ("u=rwX,go=rX", 0o700, 0o755, 0o755),
        ("g=u", 0o640, 0o660, 0o660),
        ("u+s,+t", 0o755, 0o5755, 0o5755),
        ("o=", 0o777, 0o770, 0o770),
        ("u=rw,u+x", 0o000, 0o700, 0o700),
    ],
)
def test_modes(text: str, before: int, file: int, folder: int) -> None:
    change = parse_mode(text)
    assert oct(change(before, False)) == oct(file)
    assert oct(change(before, True)) == oct(folder)


@pytest.mark.parametrize("text", ["", "9", "x", "u", "u+q", "77777", "u+x,", "u~x"])
def test_what_is_no_mode_is_refused(text: str) -> None:
    with pytest.raises(Fault, match="expected an octal mode"):
        parse_mode(text)
