"""The Container Device Interface: what `--device vendor.com/class=name` means, written in files by the device's maker.

A specification (JSON or YAML, in /etc/cdi and /var/run/cdi; the latter wins) names devices, and for each what a
container needs to use it: device nodes, files, variables, groups, hooks of the runtime (CDI specification 0.3 to 0.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from riad.engine.host.devices import Node, node
from riad.kernel.faults import Fault, invalid
from riad.oci.fields import field, texts

FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_FAILED = "CDI device injection failed: "

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """A file or folder of the host, mounted at `path`."""

    source: str
    path: str
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edits:
    """What is added to a container. `hooks` are (when, hook) with the hook as the runtime specification writes it."""

    env: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    mounts: tuple[Binding, ...] = ()
    groups: tuple[int, ...] = ()
    hooks: tuple[tuple[str, Json], ...] = ()

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            (*self.env, *other.env),
            (*self.nodes, *other.nodes),
            (*self.mounts, *other.mounts),
            (*self.groups, *other.groups),
            (*self.hooks, *other.hooks),
        )


def find(names: Sequence[str], folders: Iterable[Path] = FOLDERS) -> Edits:
    """What the devices of these qualified names ask for. Raises INVALID naming those that no specification has."""
    if not names:
        return Edits()
    known: dict[str, tuple[Json, Json]] = {}
    for path, spec in _specifications(folders):
        for device in _objects(spec, "devices", str(path)):
            known[f"{spec.get('kind')}={device.get('name')}"] = (spec, device)
    missing = [name for name in names if name not in known]
    if missing:
        raise invalid(f"{_FAILED}unresolvable CDI devices {', '.join(missing)}")
    edits, common = Edits(), list[Json]()
    for name in dict.fromkeys(names):
        spec, device = known[name]
        if not any(spec is seen for seen in common):
            common.append(spec)
            edits += _edits(spec, name)
        edits += _edits(device, name)
    return edits


def _specifications(folders: Iterable[Path]) -> Iterator[tuple[Path, Json]]:
    """A broken file hides its own devices, not those of the others."""
    for folder in folders:
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.suffix in (".json", ".yaml", ".yml"):
                try:
                    spec = yaml.safe_load(path.read_text())
                except (OSError, ValueError, yaml.YAMLError):
                    continue
                if isinstance(spec, dict):
                    yield path, spec


def _objects(source: Mapping[str, Any], name: str, at: str) -> list[Json]:
    found: list[Any] = field(source, name, list, [], at=f"{_FAILED}{at}: ")
    if not all(isinstance(item, dict) for item in found):
        raise invalid(f"{_FAILED}{at}: {name}: expected objects")
    return found


def _edits(source: Json, name: str) -> Edits:
    edits: Json = field(source, "containerEdits", dict, {}, at=f"{_FAILED}{name}: ")
    try:
        return Edits(
            env=texts(edits, "env"),
            nodes=tuple(_node(item) for item in _objects(edits, "deviceNodes", name)),
            mounts=tuple(_binding(item) for item in _objects(edits, "mounts", name)),
            groups=tuple(int(group) for group in edits.get("additionalGids") or []),
            hooks=tuple(_hook(item) for item in _objects(edits, "hooks", name)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(f"{_FAILED}{name}: {error}") from None
    except Fault as fault:
        raise invalid(f"{_FAILED}{name}: {fault.message.removeprefix(_FAILED)}") from None


def _node(item: Json) -> Node:
    path = field(item, "path", str, "")
    source = field(item, "hostPath", str, "") or path
    access = field(item, "permissions", str, "") or "rwm"
    if "major" in item and "type" in item:
        kind, major, minor = str(item["type"]), int(item["major"]), int(item.get("minor", 0))
        return Node(path, "c" if kind == "u" else kind, major, minor, int(item.get("fileMode", 0o666)), access)
    found = node(Path(source), path, access)
    if found is None:
        raise invalid(f"{source} is not a device of this host")
    return found if item.get("fileMode") is None else found._replace(mode=int(item["fileMode"]))


def _binding(item: Json) -> Binding:
    options = texts(item, "options") or ("ro", "nosuid", "nodev", "rbind")
    if not {"bind", "rbind"} & set(options):
        options = (*options, "rbind")
    return Binding(str(item["hostPath"]), str(item["containerPath"]), str(item.get("type") or "bind"), options)


def _hook(item: Json) -> tuple[str, Json]:
    when = str(item["hookName"])
    if when not in _HOOKS:
        raise ValueError(f"hook {when} is none of {', '.join(_HOOKS)}")
    members = ("path", "args", "env", "timeout")
    return when, {member: item[member] for member in members if item.get(member)}
