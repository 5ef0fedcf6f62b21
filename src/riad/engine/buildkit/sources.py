"""Contexts that a client shares on its session, as the builder's `Context`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from riad.dockerfile.ignore import IgnoreFile, parse_ignore
from riad.engine.build.contexts import Definition, check_size, ignore_names, missing_dockerfile
from riad.engine.build.progress import NO_STAGE, Tell, WorkAdvanced, WorkFinished, WorkStarted
from riad.engine.build.received import Folders, ReceivedTree
from riad.engine.build.tree import Kind, Tree, resolve
from riad.engine.buildkit.filesync import Received, Selection
from riad.engine.buildkit.session import Session
from riad.kernel.faults import Fault


@dataclass(frozen=True, slots=True)
class Loading:
    """What loading from a session needs."""

    session: Session
    folders: Folders
    tell: Tell

    async def folder(self, title: str, what: str, selection: Selection) -> Received:
        """A folder of the client as one piece of work with its own line of progress."""
        await self.tell(NO_STAGE, WorkStarted(title))
        part = f"transferring {what}"
        try:
            await self.tell(NO_STAGE, WorkAdvanced(title, f"{part}:"))
            received = await self.session.folder(selection, self.folders)
        except Fault as fault:
            await self.tell(NO_STAGE, WorkFinished(title, error=fault.message))
            raise
        await self.tell(NO_STAGE, WorkAdvanced(title, f"{part}:", received.transferred, done=True))
        await self.tell(NO_STAGE, WorkFinished(title))
        return received

    def tree(self, received: Received, ignore: IgnoreFile | None = None) -> ReceivedTree:
        return ReceivedTree(self.folders.packs, received.entries, ignore or IgnoreFile(()))


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The Dockerfile in one shared folder, the context in another; only what is used of it is asked for."""

    loading: Loading
    filename: str
    dockerfile_folder: str
    context_folder: str

    async def definition(self) -> Definition:
        found = await self.definition_alone()
        if found.ignore.patterns:
            return found
        received = await self.loading.folder(
            "[internal] load .dockerignore",
            "context",
            Selection(self.context_folder, follow=(".dockerignore",), passing=True),
        )
        ignore = _text(self.loading.tree(received), ".dockerignore")
        return replace(found, ignore=parse_ignore(ignore or ""))

    async def definition_alone(self) -> Definition:
        """With the ignore file beside the Dockerfile only."""
        name = next(iter(ignore_names(self.filename)))
        received = await self.loading.folder(
            f"[internal] load build definition from {self.filename}",
            "dockerfile",
            Selection(self.dockerfile_folder, follow=(self.filename, name), passing=True),
        )
        tree = self.loading.tree(received)
        node = resolve(tree, self.filename)
        if node is None or node.kind is not Kind.FILE:
            raise missing_dockerfile(self.filename)
        check_size(self.filename, node.size)
        return Definition(self.filename, tree.read(node), parse_ignore(_text(tree, name) or ""))

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        exclude = tuple(pattern.spelled for pattern in definition.ignore.patterns)
        selection = Selection(self.context_folder, exclude=exclude, follow=wanted or ())
        received = await self.loading.folder("[internal] load build context", "context", selection)
        return self.loading.tree(received, definition.ignore)


def named_folder(loading: Loading, name: str, folder: str) -> Callable[[], Awaitable[Tree]]:
    """Opens a named context that is a folder of the client."""

    async def opened() -> Tree:
        received = await loading.folder(
            f"[context {name}] load .dockerignore",
            "context",
            Selection(folder, follow=(".dockerignore",), passing=True),
        )
        ignore = parse_ignore(_text(loading.tree(received), ".dockerignore") or "")
        exclude = tuple(pattern.spelled for pattern in ignore.patterns)
        received = await loading.folder(
            f"[context {name}] load from client", "context", Selection(folder, exclude=exclude)
        )
        return loading.tree(received, ignore)

    return opened


def _text(tree: ReceivedTree, name: str) -> str | None:
    node = resolve(tree, name)
    if node is None or node.kind is not Kind.FILE:
        return None
    check_size(name, node.size)
    return tree.read(node).decode(errors="replace")
