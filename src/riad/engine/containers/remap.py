"""User namespaces: a container's root is an ordinary user of the host (`riad engine --userns-remap`).

Unlike dockerd, which keeps a second set of images whose files belong to other owners, files stay as they are: layers,
the container's own files and its volumes are mounted id-mapped, so the same data serves remapped containers and others
(`--userns host`). Containers share one user namespace of the engine's, which owns their networks.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from riad.engine.containers.model import HostSettings
from riad.engine.host import idmap, mounts
from riad.engine.host.idmap import IdMap, Range
from riad.kernel.faults import Fault, Kind, invalid, unsupported

DEFAULT_USER = "dockremap"


@dataclass(frozen=True, slots=True)
class Remap:
    """`namespace` is a file on which a user namespace with that mapping is mounted."""

    mapping: IdMap
    namespace: Path


def find(wanted: str, *, folder: Path, kernel: tuple[int, int], etc: Path = Path("/etc")) -> Remap | None:
    """Reads `--userns-remap`: "" (none), `default`, `USER` or `USER:GROUP` (names or numbers), or `FIRST+COUNT`.

    Raises INVALID for an owner without subordinate ids, UNSUPPORTED for a kernel that is too old.
    """
    if not wanted:
        return None
    if kernel < idmap.NEEDS:
        needs = ".".join(map(str, idmap.NEEDS))
        raise unsupported(
            f"--userns-remap {wanted}: id-mapped layers need Linux {needs}; this is {kernel[0]}.{kernel[1]}"
        )
    mapping = _mapping(wanted, etc)
    return Remap(mapping, folder / f"userns-{hashlib.sha256(repr(mapping).encode()).hexdigest()[:12]}")


def _mapping(wanted: str, etc: Path) -> IdMap:
    first, plus, count = wanted.partition("+")
    if plus:
        if not (first.isdigit() and count.isdigit() and int(first) > 0 and int(count) > 0):
            raise invalid(f"--userns-remap {wanted}: expected FIRST+COUNT such as 231072+65536")
        own = (Range(0, int(first), int(count)),)
        return IdMap(own, own)
    user, _, group = wanted.partition(":")
    user = DEFAULT_USER if user == "default" else user
    return IdMap(tuple(_of(user, etc / "subuid")), tuple(_of(group or user, etc / "subgid")))


def open_way(data: Path) -> None:
    """Lets other users through (not into) the engine's folder to the containers' root filesystems.

    Raises INVALID where a folder above it is closed to them.
    """
    for folder in data.resolve().parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise invalid(
                f"--userns-remap: containers' users cannot pass through {folder} to their files; chmod o+x {folder} or"
                " choose another --data-root"
            )
    data.chmod(stat.S_IMODE(data.stat().st_mode) | stat.S_IXOTH)


def open_namespace(remap: Remap) -> None:
    """Makes the namespace, unless an earlier daemon has left it. Blocking."""
    if not mounts.is_mounted(remap.namespace):
        idmap.make_namespace(remap.mapping, remap.namespace)


def close_namespace(remap: Remap) -> None:
    """It lives on in containers that run in it; twice is no error."""
    mounts.unmount(remap.namespace)
    remap.namespace.unlink(missing_ok=True)


def check(host: HostSettings) -> None:
    """What a container in a user namespace cannot have. Raises INVALID with Docker's sentences."""
    if host.privileged:
        raise invalid(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace"
            " when running privileged mode"
        )
    for kind, mode in (("network", host.network_mode), ("PID", host.pid_mode)):
        if mode == "host":
            article = "the host's network" if kind == "network" else "the host PID"
            raise invalid(f"cannot share {article} namespace when user namespaces are enabled")


def parse_map(text: str) -> IdMap:
    """A mapping of single owners for one mount: `HOST:CONTAINER[:COUNT]`, comma-separated; `u` or `g` before it: only
    users, only groups. Raises INVALID.

    >>> parse_map("1000:0").uids
    (Range(inside=1000, outside=0, count=1),)
    """
    found: dict[str, list[Range]] = {"u": [], "g": []}
    for part in text.split(","):
        kinds = part[:1] if part[:1] in ("u", "g") else "ug"
        numbers = part.lstrip("ug").split(":")
        if len(numbers) not in (2, 3) or not all(number.isdigit() and len(number) < 10 for number in numbers):
            raise invalid(f"id map {text!r}: expected HOST:CONTAINER[:COUNT] such as 1000:0, several with commas")
        mapped = Range(int(numbers[0]), int(numbers[1]), int(numbers[2]) if len(numbers) == 3 else 1)
        for kind in kinds:
            found[kind].append(mapped)
    for ranges in found.values():
        if not ranges:
            raise invalid(f"id map {text!r}: give users and groups, or neither letter for both")
        _check_apart(text, ranges)
    return IdMap(tuple(found["u"]), tuple(found["g"]))


def within(mapping: IdMap, remap: Remap | None) -> IdMap:
    """The mapping of a mount in a container whose own ids are shifted, too. Raises INVALID for ids it does not have."""
    if remap is None:
        return mapping
    try:
        return IdMap(
            tuple(_shifted(found, remap.mapping.uids) for found in mapping.uids),
            tuple(_shifted(found, remap.mapping.gids) for found in mapping.gids),
        )
    except ValueError as error:
        raise invalid(f"id map: the container's user namespace does not have {error}") from None


def _shifted(found: Range, ranges: tuple[Range, ...]) -> Range:
    first, last = idmap.outside(ranges, found.outside), idmap.outside(ranges, found.outside + found.count - 1)
    if last - first != found.count - 1:
        raise ValueError(f"{found.outside} to {found.outside + found.count - 1} in one piece")
    return Range(found.inside, first, found.count)


def _check_apart(text: str, ranges: list[Range]) -> None:
    for side in ("inside", "outside"):
        spans = sorted((getattr(found, side), found.count) for found in ranges)
        if any(count < 1 for _, count in spans):
            raise invalid(f"id map {text!r}: a count is at least 1")
        if any(first + count > after for (first, count), (after, _) in pairwise(spans)):
            raise invalid(f"id map {text!r}: its rows overlap")


def _of(owner: str, path: Path) -> Iterator[Range]:
    """The subordinate ids of `owner` (subuid(5)), one after the other from 0 inside."""
    names = {owner, _number(owner)} if not owner.isdigit() else {owner, _name(int(owner))}
    found = sorted(_rows(path, names))
    if not found:
        raise invalid(
            f"--userns-remap: {path} has no subordinate ids of {owner}; add the line {owner}:231072:65536, or give"
            " a range without these files, such as --userns-remap 231072+65536"
        )
    inside = 0
    for first, count in found:
        yield Range(inside, first, count)
        inside += count


def _rows(path: Path, names: Iterable[str | None]) -> Iterator[tuple[int, int]]:
    try:
        text = path.read_text()
    except OSError as error:
        raise Fault(Kind.UNAVAILABLE, f"--userns-remap: cannot read {path}: {error.strerror}") from None
    for line in text.splitlines():
        row = line.strip().split(":")
        if len(row) == 3 and row[0] in names and row[1].isdigit() and row[2].isdigit():
            yield int(row[1]), int(row[2])


def _number(name: str) -> str | None:
    try:
        return str(pwd.getpwnam(name).pw_uid)
    except KeyError:
        return None


def _name(number: int) -> str | None:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return None


def locked_flags(source: str) -> tuple[str, ...]:
    """Options that a bind from this host mount must keep in a user namespace, where they cannot be taken away."""
    try:
        flags = os.statvfs(source).f_flag
    except OSError:
        return ()
    names = {os.ST_NOSUID: "nosuid", os.ST_NODEV: "nodev", os.ST_NOEXEC: "noexec", os.ST_RDONLY: "ro"}
    return tuple(name for flag, name in names.items() if flags & flag)
