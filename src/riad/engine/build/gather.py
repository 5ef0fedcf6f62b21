"""What one COPY or ADD copies from: the context, a stage or image, URLs, git repositories.

Asked for its `identity` first: what stands for all the files without reading them (layers, a commit, a checksum). Only
where that says nothing, or nobody has made it before, the files come and are read.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from riad.engine.build.copy import Part, excluded
from riad.engine.build.evaluate import Place
from riad.engine.build.origins import Origin
from riad.engine.build.plan import PlannedStage
from riad.engine.build.remote import GitAddress, checkout, commit_of, download, git_address, is_http
from riad.engine.build.sources import Source, digest, find
from riad.engine.build.tree import DirectoryTree, Node, resolve
from riad.kernel.faults import invalid

if TYPE_CHECKING:
    from riad.engine.build.steps import Steps  # which uses this

_DOWNLOADED = 0o600


@asynccontextmanager
async def gathering(steps: Steps, action: Place, planned: PlannedStage | None) -> AsyncIterator[Gathered]:
    """For the time of one step; what was fetched is gone afterwards."""
    gathered = Gathered(steps, action, planned)
    try:
        yield gathered
    finally:
        await gathered.close()


class Gathered:
    def __init__(self, steps: Steps, action: Place, planned: PlannedStage | None) -> None:
        self._steps = steps
        self._action = action
        self._planned = planned
        self._is_add = action.keyword == "ADD" and action.from_ is None
        self._git = {text: found for text in action.sources if self._is_add and (found := git_address(text))}
        self._urls = [text for text in action.sources if self._is_add and is_http(text) and text not in self._git]
        self._commits: dict[str, str] = {}
        self._parts: tuple[Part, ...] | None = None
        self._folder: Path | None = None

    async def identity(self) -> str | None:
        """None where only the files themselves say what they are."""
        found = []
        if local := self._local():
            origin = await self._origin()
            if origin.identity is None:
                return None
            found.append(f"{origin.identity}{local}")
        for text, address in self._git.items():
            found.append(f"{await self._commit(text, address)}:{address.folder}:{self._action.keep_git_dir}")
        if self._urls and not self._action.checksum:
            return None
        found += [f"{url} {self._action.checksum}" for url in self._urls]
        return "".join(found)

    async def content(self) -> str:
        """The digest of the files."""
        parts = await self.parts()
        exclude = excluded(self._action)
        found = [
            await asyncio.to_thread(digest, part.tree, part.sources, owners=part.keep_owners, exclude=exclude)
            for part in parts
        ]
        return found[0] if len(found) == 1 else repr(found)

    async def parts(self) -> tuple[Part, ...]:
        """Everything, there and ready to be read; in the order of local files, URLs, repositories."""
        if self._parts is None:
            found = [await self._local_part()] if self._local() else []
            found += [await self._downloaded(url) for url in self._urls]
            found += [await self._checked_out(text, address) for text, address in self._git.items()]
            self._parts = tuple(found)
        return self._parts

    async def close(self) -> None:
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _local(self) -> tuple[str, ...]:
        return tuple(text for text in self._action.sources if text not in self._git and text not in self._urls)

    async def _origin(self) -> Origin:
        return await self._steps.origins.origin(self._action.from_, self._planned, self._steps.progress)

    async def _local_part(self) -> Part:
        action = self._action
        origin = await self._origin()
        tree = await origin.open()
        found = await asyncio.to_thread(find, tree, self._local(), keyword=action.keyword, parents=action.parents)
        return Part(
            tree, tuple(found), origin.owners_count, unpack=action.keyword == "ADD" and action.unpack is not False
        )

    async def _downloaded(self, url: str) -> Part:
        action = self._action
        got = await download(url, self._place(), checksum=action.checksum)
        if action.target.endswith("/") and not got.name:
            raise invalid(f"cannot determine filename for source {url}: name the file in the destination")
        file = got.file
        file.chmod(_DOWNLOADED)
        tree = DirectoryTree(file.parent)
        node = resolve(tree, file.name)
        assert node is not None
        node = Node(node.path, node.kind, _DOWNLOADED, 0, 0, got.mtime_ns, node.size)
        name = got.name or action.target.rpartition("/")[2]
        return Part(tree, (Source(node, name),), unpack=action.unpack is True)

    async def _checked_out(self, text: str, address: GitAddress) -> Part:
        commit = await self._commit(text, address)
        keep = self._action.keep_git_dir
        got = await checkout(address, commit, self._steps.client, self._place(), keep_git_dir=keep)
        tree = DirectoryTree(got.folder)
        top = tree.lstat("")
        assert top is not None
        return Part(tree, (Source(top, ""),))

    async def _commit(self, text: str, address: GitAddress) -> str:
        if text not in self._commits:
            self._commits[text] = await commit_of(address, self._steps.client, self._place())
        return self._commits[text]

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = self._steps.new_folder("fetched")
        return self._folder


def named_owner(chown: str | None) -> bool:
    """Whether --chown has a name in it, that only the files below can tell the number of."""
    return bool(chown) and not all(part.isdigit() for part in (chown or "").split(":") if part)
