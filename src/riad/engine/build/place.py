"""Writes what COPY and ADD name into a mounted root file system.

Rules (Dockerfile reference, "COPY", "ADD"):

- a directory's content goes into the target, not the directory itself; a file goes to the target's name, or into it
  where it is a directory or ends with a slash;
- directories that are missing are made with mode 755 and the owner of what is copied; the target directory, where it
  exists, keeps its attributes, those below it take the source's;
- links in the target's path are followed inside the root file system; a file replaces a file or a link of its name;
- modification times are kept.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from riad.dockerfile.ignore import IgnoreFile
from riad.engine.build.modes import Mode
from riad.engine.build.owners import Owner
from riad.engine.build.sources import NOTHING, Source
from riad.engine.build.tree import DirectoryTree, Kind, Node, Tree, resolve, walk
from riad.kernel.faults import invalid

_LINKS_AT_MOST = 40


class Placement:
    """One COPY into the root file system mounted at `root`. `owner` None keeps the source's owners. Blocking calls."""

    def __init__(
        self, root: Path, *, owner: Owner | None, mode: Mode | None = None, exclude: IgnoreFile = NOTHING
    ) -> None:
        self._root = root
        self._view = DirectoryTree(root)
        self._owner = owner
        self._mode = mode
        self._exclude = exclude
        self._times: list[tuple[str, int]] = []
        self._placed: dict[str, str] = {}

    def copy(self, tree: Tree, sources: Sequence[Source], target: str, *, several: bool = False) -> None:
        """Copies to the absolute path `target`, a directory where it ends with a slash or `several` things go there."""
        into = target.endswith("/") or several or len(sources) > 1
        for source in sources:
            place = self._with_folders(tree, source, target) if source.parent else target
            if source.node.kind is Kind.DIRECTORY:
                self._directory(tree, source.node, place)
            elif not self._exclude.excludes(source.name):
                self._file(tree, source, place, into=into or bool(source.parent))

    def write(self, name: str, content: bytes, target: str, *, mtime_ns: int) -> None:
        """A new file with `content` at `target`, or in it under `name` where it is a directory."""
        path = self._target_of(name, target, into=target.endswith("/"))
        descriptor = self._create(path)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            self._attributes(descriptor, Node("", Kind.FILE, 0o644, mtime_ns=mtime_ns))
        finally:
            os.close(descriptor)

    def _with_folders(self, tree: Tree, source: Source, target: str) -> str:
        """The target with the folders of `--parents` in it, which are as they are in the source."""
        place = target.rstrip("/")
        for folder in source.folders:
            place = f"{place}/{posixpath.basename(folder.path)}"
            if resolve(self._view, place) is None:
                self._directory_attributes(tree, folder, self.directory(place))
        return place + "/"

    def finish(self) -> None:
        """Sets the times of directories, which writing into them has changed."""
        for path, moment in reversed(self._times):
            os.utime(path, ns=(moment, moment))

    def directory(self, target: str) -> str:
        """The host path of the directory `target`, made with its parents where it is missing."""
        at = str(self._root)
        waiting = [part for part in reversed(target.split("/")) if part and part != "."]
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                at = at if at == str(self._root) else posixpath.dirname(at)
                continue
            step = f"{at}/{part}"
            try:
                status = os.lstat(step)
            except FileNotFoundError:
                self._make(step)
                at = step
                continue
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > _LINKS_AT_MOST:
                    raise invalid(f"{target}: too many levels of symbolic links")
                link = os.readlink(step)
                at = str(self._root) if link.startswith("/") else at
                waiting.extend(piece for piece in reversed(link.split("/")) if piece and piece != ".")
            elif stat.S_ISDIR(status.st_mode):
                at = step
            else:
                raise invalid(f"cannot copy to non-directory: {self._spoken(step)}")
        return at

    def _make(self, path: str) -> None:
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # noqa: S103 -- whatever the umask
        if self._owner is not None:
            os.chown(path, self._owner.uid, self._owner.gid)

    def _target_of(self, name: str, target: str, *, into: bool) -> str:
        if not into:
            found = resolve(self._view, target)
            into = found is not None and found.kind is Kind.DIRECTORY
        folder, last = (target, name) if into else (posixpath.dirname(target), posixpath.basename(target))
        return f"{self.directory(folder)}/{last}"

    def _file(self, tree: Tree, source: Source, target: str, *, into: bool) -> None:
        self._leaf(tree, source.node, self._target_of(source.name, target, into=into))

    def _directory(self, tree: Tree, top: Node, target: str) -> None:
        existed = resolve(self._view, target)
        base = self.directory(target)
        places = {"": base}
        for relative, node in self._included(tree, top):
            if node.kind is not Kind.DIRECTORY:
                parent, _, name = relative.rpartition("/")
                self._leaf(tree, node, f"{places[parent]}/{name}")
                continue
            if relative:
                places[relative] = self.directory(
                    f"{places[relative.rpartition('/')[0]]}/{relative.rpartition('/')[2]}"[len(str(self._root)) :]
                )
            if relative or existed is None:
                self._directory_attributes(tree, node, places[relative])

    def _included(self, tree: Tree, top: Node) -> Iterator[tuple[str, Node]]:
        """What is not excluded, with the excluded folders above what was brought back."""
        if not self._exclude.patterns:
            yield from walk(tree, top)
            return
        given: set[str] = set()
        folders: dict[str, Node] = {}
        for relative, node in walk(tree, top):
            if node.kind is Kind.DIRECTORY:
                folders[relative] = node
            if relative and self._exclude.excludes(relative):
                continue
            above = relative
            missing = []
            while above and (above := posixpath.dirname(above)) and above not in given:
                missing.append(above)
            for folder in reversed(missing):
                given.add(folder)
                yield folder, folders[folder]
            given.add(relative)
            yield relative, node

    def _directory_attributes(self, tree: Tree, node: Node, path: str) -> None:
        owner = self._owner or Owner(node.uid, node.gid)
        os.chown(path, owner.uid, owner.gid)
        os.chmod(path, self._changed(node))
        for name, value in tree.xattrs(node).items():
            os.setxattr(path, name, value)
        self._times.append((path, node.mtime_ns))

    def _leaf(self, tree: Tree, node: Node, path: str) -> None:
        if node.kind is Kind.FILE:
            self._regular(tree, node, path)
            return
        self._clear(path)
        if node.kind is Kind.LINK:
            os.symlink(node.link, path)
        else:
            os.mknod(path, stat.S_IFMT(node.mode) | 0o600, node.device)
        owner = self._owner or Owner(node.uid, node.gid)
        os.lchown(path, owner.uid, owner.gid)
        if node.kind is Kind.OTHER:
            os.chmod(path, self._changed(node))
        os.utime(path, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)

    def _regular(self, tree: Tree, node: Node, path: str) -> None:
        first = self._placed.get(node.twin)
        if first is not None:
            self._clear(path)
            os.link(first, path, follow_symlinks=False)
            return
        descriptor = self._create(path)
        try:
            tree.copy_data(node, descriptor)
            self._attributes(descriptor, node)
            for name, value in tree.xattrs(node).items():
                os.setxattr(descriptor, name, value)
            os.utime(descriptor, ns=(node.mtime_ns, node.mtime_ns))
        finally:
            os.close(descriptor)
        self._placed[node.path] = path

    def _create(self, path: str) -> int:
        self._clear(path)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _attributes(self, descriptor: int, node: Node) -> None:
        owner = self._owner or Owner(node.uid, node.gid)
        os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, self._changed(node))  # after chown, which drops setuid bits
        os.utime(descriptor, ns=(node.mtime_ns, node.mtime_ns))

    def _changed(self, node: Node) -> int:
        mode = stat.S_IMODE(node.mode)
        return mode if self._mode is None else self._mode(mode, node.kind is Kind.DIRECTORY)

    def _clear(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise invalid(f"cannot copy a file over the directory {self._spoken(path)}") from None

    def _spoken(self, path: str) -> str:
        return path.removeprefix(str(self._root)) or "/"
