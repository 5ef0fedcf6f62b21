from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from riad.kernel import config
from riad.kernel.faults import Fault, Kind


@dataclass(frozen=True)
class Shape:
    name: str = "riad"
    port: int = 8080
    debug: bool = False
    folder: Path = Path("/x")
    mirrors: tuple[str, ...] = ()
    limit: int | None = None


def test_flags_win_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "riad.toml"
    file.write_text('name = "file"\nport = 1\nfolder = "/file"\n')
    loaded = config.load(
        Shape, file=file, environ={"RIAD_NAME": "environment", "RIAD_PORT": "2"}, flags={"port": 3, "limit": None}
    )
    assert loaded == Shape(name="environment", port=3, folder=Path("/file"))


def test_text_from_the_environment_is_read_as_the_type_of_its_field() -> None:
    loaded = config.load(Shape, environ={"RIAD_DEBUG": "yes", "RIAD_MIRRORS": "a,b", "RIAD_LIMIT": "7"})
    assert (loaded.debug, loaded.mirrors, loaded.limit) == (True, ("a", "b"), 7)


def test_every_finding_is_reported_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "riad.toml"
    file.write_text('prot = 1\nport = "x"\n')
    with pytest.raises(Fault) as caught:
        config.load(Shape, file=file, environ={"RIAD_DEBUG": "perhaps"})
    assert caught.value.kind is Kind.INVALID
    paths = [finding.path for finding in caught.value.findings]
    assert paths == [f"{file}: prot", f"{file}: port", "RIAD_DEBUG"]
    assert "unknown setting" in caught.value.message


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("= 1")
    for file in (tmp_path / "none.toml", broken):
        with pytest.raises(Fault, match=file.name):
            config.load(Shape, file=file, environ={})


def test_a_number_is_not_taken_for_true() -> None:
    with pytest.raises(Fault, match="not a whole number"):
        config.load(Shape, environ={}, flags={"port": True})
