"""Contexts that lie elsewhere: a git repository at a commit, an archive or a Dockerfile behind a URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from riad.dockerfile.ignore import IgnoreFile, Pattern, parse_ignore
from riad.engine.build.clients import Client
from riad.engine.build.contexts import Context, Definition, TarContext, check_size, ignore_names, missing_dockerfile
from riad.engine.build.receive import index_file
from riad.engine.build.remote import checkout, commit_of, download, git_address, is_http
from riad.engine.build.tree import DirectoryTree, Kind, Node, TarTree, Tree, resolve, walk
from riad.kernel.faults import Fault, invalid


class PickedTree:
    """What `ignore` leaves of a directory; a folder stays where something in it does."""

    def __init__(self, tree: DirectoryTree, ignore: IgnoreFile) -> None:
        self._tree = tree
        self.ignore = ignore
        self.ignored: dict[str, Pattern] = {}
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, list[str]] = {}
        top = tree.lstat("")
        assert top is not None
        for path, node in walk(tree, top):
            pattern = ignore.deciding(path) if path else None
            if pattern is not None:
                self.ignored[path] = pattern
            else:
                self._keep(path, node)

    def lstat(self, path: str) -> Node | None:
        return self._nodes.get(path)

    def children(self, path: str) -> list[str]:
        return sorted(self._children.get(path, []))

    def digest(self, node: Node) -> str:
        return self._tree.digest(node)

    def copy_data(self, node: Node, descriptor: int) -> None:
        self._tree.copy_data(node, descriptor)

    def xattrs(self, node: Node) -> Mapping[str, bytes]:
        return self._tree.xattrs(node)

    def _keep(self, path: str, node: Node) -> None:
        self._nodes[path] = node
        while path:
            parent, _, name = path.rpartition("/")
            self._children.setdefault(parent, []).append(name)
            if parent in self._nodes:
                return
            above = self._tree.lstat(parent)
            assert above is not None
            self._nodes[parent] = above
            path = parent


@dataclass(frozen=True, slots=True)
class FolderContext:
    """A directory of this host, such as a checkout."""

    root: Path
    filename: str

    async def definition(self) -> Definition:
        tree = DirectoryTree(self.root)
        content = _read(tree, self.filename)
        if content is None:
            raise missing_dockerfile(self.filename)
        ignore = next((text for name in ignore_names(self.filename) if (text := _read(tree, name)) is not None), b"")
        return Definition(self.filename, content, parse_ignore(ignore.decode(errors="replace")))

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        return PickedTree(DirectoryTree(self.root), definition.ignore)


@dataclass(frozen=True, slots=True)
class BareDockerfile:
    """A Dockerfile without a context."""

    content: bytes

    async def definition(self) -> Definition:
        return Definition("Dockerfile", self.content, IgnoreFile(()))

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        return EMPTY


EMPTY = TarTree(Path("/dev/null"), {"": Node("", Kind.DIRECTORY, 0o755)}, {})


def is_elsewhere(address: str) -> bool:
    return is_http(address) or git_address(_full(address)) is not None


async def fetch_context(address: str, filename: str, client: Client, folder: Path, *, subfolder: str = "") -> Context:
    """Brings the context at `address` into `folder`. Raises UNSUPPORTED, UNAVAILABLE, INVALID."""
    git = git_address(_full(address))
    if git is not None:
        commit = await commit_of(git, client, folder)
        got = await checkout(git, commit, client, folder)
        return FolderContext(got.folder / subfolder if subfolder else got.folder, filename)
    if not is_http(address):
        raise invalid(f"the context {address} is no address: expected a git repository, or http:// or https://")
    file = (await download(address, folder)).file
    try:
        return TarContext(index_file(file), filename)
    except Fault:
        content = file.read_bytes()
        check_size(address, len(content))
        return BareDockerfile(content)


def _full(address: str) -> str:
    """`github.com/USER/REPOSITORY` is short for its address."""
    if not address.startswith("github.com/"):
        return address
    url, hash_, fragment = address.partition("#")
    return f"https://{url}{'' if url.endswith('.git') else '.git'}{hash_}{fragment}"


def _read(tree: DirectoryTree, name: str) -> bytes | None:
    node = resolve(tree, name)
    if node is None or node.kind is not Kind.FILE:
        return None
    check_size(name, node.size)
    return (tree.root / node.path).read_bytes()
