"""What a job may ask of an engine: every route of the Docker Engine API that is allowed, and how. Pure.

A rule says which action carries a request out and which parameters of the query may come along. A route without a rule
is refused; routes that people do reach for have a sentence with the way out. Names in paths are checked here by their
grammar, so that no name can become another path.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from riad.dockerclient.scoped.scope import is_reference
from riad.kernel.faults import Fault, Kind, denied, not_found, unsupported


class Action(enum.Enum):
    """How a request is carried out. What it names has to be the project's; images that are read may be nobody's."""

    PASS = enum.auto()
    INFO = enum.auto()
    EVENTS = enum.auto()
    CONTAINER_LIST = enum.auto()
    CONTAINER_CREATE = enum.auto()
    CONTAINER = enum.auto()
    CONTAINER_STREAM = enum.auto()
    CONTAINER_RENAME = enum.auto()
    EXEC_CREATE = enum.auto()
    EXEC = enum.auto()
    EXEC_STREAM = enum.auto()
    NETWORK_LIST = enum.auto()
    NETWORK_CREATE = enum.auto()
    NETWORK_READ = enum.auto()
    NETWORK = enum.auto()
    NETWORK_JOIN = enum.auto()
    VOLUME_LIST = enum.auto()
    VOLUME_CREATE = enum.auto()
    VOLUME = enum.auto()
    IMAGE_LIST = enum.auto()
    IMAGE_INSPECT = enum.auto()
    IMAGE_HISTORY = enum.auto()
    IMAGE_SAVE = enum.auto()
    IMAGE_SAVE_MANY = enum.auto()
    IMAGE_TAG = enum.auto()
    IMAGE_PUSH = enum.auto()
    IMAGE_REMOVE = enum.auto()
    IMAGE_PULL = enum.auto()
    IMAGE_DISTRIBUTION = enum.auto()
    BUILD = enum.auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """`shape`: path segments; `*` takes one, `**` one or more. `query`: the parameters that may come along."""

    method: str
    shape: str
    action: Action
    query: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """`version` is `/v1.NN` or "" as the client wrote it, `name` what the path names ("" where it names nothing),
    `path` the whole path with `{}` in the name's place."""

    rule: Rule
    version: str
    name: str
    path: str


_VERSION = re.compile(r"/v1\.\d{1,3}(?=/)")
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}")


def decide(method: str, path: str) -> Decision:
    """`path` is decoded. Raises DENIED or UNSUPPORTED with the reason, NOT_FOUND for a name that cannot be one."""
    version = _VERSION.match(path)
    rest = path[version.end() :] if version else path
    segments = rest.strip("/").split("/")
    for rule in RULES:
        found = _match(rule.shape, segments) if rule.method == method else None
        if found is not None:
            name, shape = found
            if "*" in rule.shape and not _good_name(rule, name):
                raise not_found(f"riad: {name[:200]!r} is no name")
            return Decision(rule, version.group() if version else "", name, shape)
    raise _refusal(method, rest, segments)


def _match(shape: str, segments: list[str]) -> tuple[str, str] | None:
    """The name and the path with `{}` for it."""
    pattern = shape.split("/")
    name = ""
    if "**" in pattern:
        start = pattern.index("**")
        end = len(segments) - (len(pattern) - start - 1)
        if end <= start:
            return None
        name = "/".join(segments[start:end])
        segments = [*segments[:start], "**", *segments[end:]]
    if len(pattern) != len(segments):
        return None
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted == "*":
            name = segment
        elif wanted != segment:
            return None
    return name, "/" + "/".join("{}" if part in ("*", "**") else part for part in pattern)


def _good_name(rule: Rule, name: str) -> bool:
    if rule.shape.startswith(("images", "distribution")):
        return bool(_IMAGE_ID.fullmatch(name)) or is_reference(name)
    return bool(_NAME.fullmatch(name))


def _refusal(method: str, path: str, segments: list[str]) -> Fault:
    for (refused, shape), (kind, sentence) in _SENTENCES.items():
        if refused in (method, "*") and _match(shape, segments) is not None:
            return Fault(kind, f"riad: {sentence}")
    if segments[0] in _KNOWN:
        return denied(f"riad: {method} {path[:200]} is not among what a job may ask of the engine")
    return unsupported(f"riad: {method} {path[:200]} is not among what a job may ask of the engine")


_KNOWN = frozenset(("containers", "images", "networks", "volumes", "exec", "build", "system", "swarm", "plugins"))
_BUILDKIT = (Kind.UNSUPPORTED, "jobs build with the classic builder; set DOCKER_BUILDKIT=0")
_PRUNE = (Kind.DENIED, "a job cannot prune; remove what it made by name (it is removed with the job in any case)")
_SENTENCES = {
    ("*", "grpc"): _BUILDKIT,
    ("*", "session"): _BUILDKIT,
    ("POST", "build/prune"): _PRUNE,
    ("POST", "containers/prune"): _PRUNE,
    ("POST", "images/prune"): _PRUNE,
    ("POST", "networks/prune"): _PRUNE,
    ("POST", "volumes/prune"): _PRUNE,
    ("POST", "images/load"): (Kind.DENIED, "an archive names its images as it likes; a job can pull or build images"),
    ("POST", "commit"): (Kind.DENIED, "a job cannot commit containers to images; build them from a Dockerfile"),
    ("POST", "containers/*/update"): (Kind.DENIED, "set limits when the container is created"),
    ("GET", "containers/*/attach/ws"): (Kind.UNSUPPORTED, "attach with `docker attach`"),
    ("GET", "system/df"): (Kind.DENIED, "a job sees its own project's things only"),
}  # fmt: skip


def _rule(method: str, shape: str, action: Action, query: str = "") -> Rule:
    return Rule(method, shape, action, frozenset(query.split()))


RULES = (
    _rule("GET", "_ping", Action.PASS),
    _rule("HEAD", "_ping", Action.PASS),
    _rule("GET", "version", Action.PASS),
    _rule("POST", "auth", Action.PASS),
    _rule("GET", "info", Action.INFO),
    _rule("GET", "events", Action.EVENTS, "since until filters"),
    _rule("GET", "containers/json", Action.CONTAINER_LIST, "all limit size filters since before"),
    _rule("POST", "containers/create", Action.CONTAINER_CREATE, "name platform"),
    _rule("GET", "containers/*/json", Action.CONTAINER, "size"),
    _rule("GET", "containers/*/top", Action.CONTAINER, "ps_args"),
    _rule("GET", "containers/*/logs", Action.CONTAINER, "follow stdout stderr since until timestamps tail details"),
    _rule("GET", "containers/*/changes", Action.CONTAINER),
    _rule("GET", "containers/*/export", Action.CONTAINER),
    _rule("GET", "containers/*/stats", Action.CONTAINER, "stream one-shot"),
    _rule("POST", "containers/*/start", Action.CONTAINER, "detachKeys"),
    _rule("POST", "containers/*/stop", Action.CONTAINER, "t signal"),
    _rule("POST", "containers/*/restart", Action.CONTAINER, "t signal"),
    _rule("POST", "containers/*/kill", Action.CONTAINER, "signal"),
    _rule("POST", "containers/*/pause", Action.CONTAINER),
    _rule("POST", "containers/*/unpause", Action.CONTAINER),
    _rule("POST", "containers/*/wait", Action.CONTAINER, "condition"),
    _rule("POST", "containers/*/resize", Action.CONTAINER, "h w"),
    _rule("POST", "containers/*/rename", Action.CONTAINER_RENAME, "name"),
    _rule("POST", "containers/*/attach", Action.CONTAINER_STREAM, "detachKeys logs stream stdin stdout stderr"),
    _rule("POST", "containers/*/exec", Action.EXEC_CREATE),
    _rule("HEAD", "containers/*/archive", Action.CONTAINER, "path"),
    _rule("GET", "containers/*/archive", Action.CONTAINER, "path"),
    _rule("PUT", "containers/*/archive", Action.CONTAINER, "path noOverwriteDirNonDir copyUIDGID"),
    _rule("DELETE", "containers/*", Action.CONTAINER, "v force link"),
    _rule("POST", "exec/*/start", Action.EXEC_STREAM),
    _rule("POST", "exec/*/resize", Action.EXEC, "h w"),
    _rule("GET", "exec/*/json", Action.EXEC),
    _rule("GET", "networks", Action.NETWORK_LIST, "filters"),
    _rule("POST", "networks/create", Action.NETWORK_CREATE),
    _rule("GET", "networks/*", Action.NETWORK_READ, "verbose scope"),
    _rule("DELETE", "networks/*", Action.NETWORK),
    _rule("POST", "networks/*/connect", Action.NETWORK_JOIN),
    _rule("POST", "networks/*/disconnect", Action.NETWORK_JOIN),
    _rule("GET", "volumes", Action.VOLUME_LIST, "filters"),
    _rule("POST", "volumes/create", Action.VOLUME_CREATE),
    _rule("GET", "volumes/*", Action.VOLUME),
    _rule("DELETE", "volumes/*", Action.VOLUME, "force"),
    _rule("GET", "images/json", Action.IMAGE_LIST, "all filters shared-size digests manifests filter"),
    _rule("POST", "images/create", Action.IMAGE_PULL, "fromImage tag platform"),
    _rule("GET", "images/get", Action.IMAGE_SAVE_MANY, "names platform"),
    _rule("GET", "images/**/json", Action.IMAGE_INSPECT, "manifests platform"),
    _rule("GET", "images/**/history", Action.IMAGE_HISTORY, "platform"),
    _rule("GET", "images/**/get", Action.IMAGE_SAVE, "platform"),
    _rule("POST", "images/**/tag", Action.IMAGE_TAG, "repo tag"),
    _rule("POST", "images/**/push", Action.IMAGE_PUSH, "tag platform"),
    _rule("DELETE", "images/**", Action.IMAGE_REMOVE, "force noprune platforms"),
    _rule("GET", "distribution/**/json", Action.IMAGE_DISTRIBUTION),
    _rule("POST", "build", Action.BUILD, "*"),
)
