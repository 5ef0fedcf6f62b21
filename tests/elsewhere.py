"""Servers for builds that fetch: files over HTTP, a git repository by git's own daemon."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import web

from ports import free_port


@asynccontextmanager
async def served(files: dict[str, bytes]) -> AsyncIterator[str]:
    async def get(request: web.Request) -> web.Response:
        content = files.get(request.path)
        return web.Response(status=404) if content is None else web.Response(body=content)

    app = web.Application()
    app.router.add_get("/{tail:.*}", get)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def git_server(root: Path, files: Mapping[str, str] | None = None) -> Iterator[str]:
    """A repository with a branch main, two commits and a tag v1, by git's own daemon."""
    work = root / "work"
    (work / "sub").mkdir(parents=True)
    for name, content in (files or {}).items():
        (work / name).write_text(content)
    git = ("git", "-C", str(work), "-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for content in ("first", "second"):
        (work / "file").write_text(content)
        (work / "sub/inner").write_text(content)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-qm", content], check=True)
        if content == "first":
            subprocess.run([*git, "tag", "v1"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(root / "repo.git")], check=True)
    port = free_port()
    daemon = subprocess.Popen(
        ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--export-all", f"--base-path={root}", "--verbose"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert daemon.stderr is not None
        while b"Ready" not in (line := daemon.stderr.readline()):
            assert line, "git daemon ended"
        yield f"git://127.0.0.1:{port}"
    finally:
        daemon.terminate()
        daemon.communicate()


@contextmanager
def docker_registry(root: Path) -> Iterator[str]:
    """Debian's docker-registry; its HOST:PORT."""
    port = free_port()
    root.mkdir()
    config = root / "config.yml"
    store = f"storage: {{filesystem: {{rootdirectory: {root}/store}}}}"
    config.write_text(f'version: 0.1\n{store}\nhttp: {{addr: "127.0.0.1:{port}"}}\n')
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        while True:
            assert process.poll() is None, (root / "log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)
