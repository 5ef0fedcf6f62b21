"""Cache keys: what a step's result depends on, and nothing else. Pure.

Two chains run side by side:

- *files*: a RUN or COPY depends on the layers below it (by their digests, wherever they came from), on what it does and
  on what it reads. LABEL, CMD, EXPOSE and the like above it do not matter, so a new label does not repeat a RUN.
- *history*: the whole stage so far, instruction by instruction. It decides only whether a step that changes no files is
  the same as before, and so keeps its time: a build in which nothing changed gives the same image id.

RUN reads the environment with all ARGs in force (not the proxies, which change no result), its user, working directory
and shell, its network mode and what is mounted; and whose build it is, since what a proxy or a cache mount gave one
party may be a trap for another. COPY reads its files' names, kinds, modes, contents and the owners they
get, never their times. Bump `_VERSION` when a rule here changes, lest old results answer new questions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from riad.engine.build.evaluate import Execute, Place
from riad.oci.digest import Digest

_VERSION = 1


def digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps([_VERSION, *parts], ensure_ascii=True).encode()).hexdigest()


def chain(layers: Iterable[Digest]) -> str:
    """What a stage's files come to."""
    return digest("layers", list(layers))


def base_history(image: str) -> str:
    return digest("base", image)


def next_history(before: str, created_by: str, layer: str | None) -> str:
    return digest("step", before, created_by, layer)


def run(
    layers: Iterable[Digest],
    action: Execute,
    *,
    network: str,
    hosts: Iterable[str],
    mounted: list[str],
    party: str = "",
) -> str:
    """`mounted` are the digests of what the command's mounts show, in their order; `party` is `BuildOptions.party`."""
    options = [[mount.kind, sorted(mount.options.items())] for mount in action.mounts]
    return digest(
        "run",
        chain(layers),
        list(action.args),
        list(action.keyed_env),
        action.cwd,
        action.user,
        network,
        sorted(hosts),
        options,
        mounted,
        list(action.scripts),
        *([party] if party else []),
        *(["privileged"] if action.privileged else []),
    )


def copy(layers: Iterable[Digest], action: Place, *, content: str) -> str:
    """`content` is the digest of the sources, or of what identifies them."""
    inline = [[item.name, item.content] for item in action.inline]
    more = [action.exclude, action.parents] if action.exclude or action.parents else []
    return digest(
        "copy", chain(layers), content, inline, action.target, action.chown, action.chmod, action.unpack is not False,
        len(action.sources), *more,
    )  # fmt: skip


def directory(layers: Iterable[Digest], path: str) -> str:
    return digest("directory", chain(layers), path)
