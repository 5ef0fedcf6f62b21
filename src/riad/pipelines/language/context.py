"""What rules may ask about the push (or click, or call) that a file is compiled for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


def _nothing_known(_ref: str | None) -> Sequence[str] | None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """`source` is GitLab's word (push, web, api, schedule, trigger); `ref` is a branch's or tag's short name.

    `predefined` stands below the file's variables, `outer` (group, project, pipeline variables, later over earlier)
    above them. `changed_paths(compare_to)` gives None where there is nothing to compare with: `changes` holds then.
    """

    source: str
    ref: str
    is_tag: bool = False
    predefined: Mapping[str, str] = field(default_factory=dict)
    outer: Mapping[str, str] = field(default_factory=dict)
    changed_paths: Callable[[str | None], Sequence[str] | None] = _nothing_known
    paths: Callable[[], Sequence[str]] = tuple
