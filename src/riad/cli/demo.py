"""The main job, shown: a push becomes a tested, built, deployed service on a URL. Run by script/demo.

Everything happens as a user would do it: the `riad` command, the stock git, HTTP. `--once` checks each step, rolls
back, stops everything and leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import click

from riad.cli import api as apis
from riad.cli import home as homes
from riad.cli.api import Api, project_path
from riad.cli.home import Home
from riad.cli.pipeline import jobs_of
from riad.cli.up import one_time_password
from riad.cli.watch import follow
from riad.kernel.faults import Fault, Kind

PROJECT = "demo/flask-hello"
SERVICE = "flask-hello"
EXAMPLE = Path(__file__).parents[3] / "examples" / "flask-hello"
CHECKOUT = Path(__file__).parents[3]
PYTHON = "python:3.11"
TOOLS = "docker:cli"


@dataclass(slots=True)
class Times:
    """How long each part took, in seconds, in the order they happened."""

    parts: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.parts.append((name, time.monotonic() - began))

    def show(self) -> None:
        for name, seconds in self.parts:
            click.echo(f"  {name:36} {seconds:7.2f} s")


@click.command()
@click.option("--once", is_flag=True, help="Check everything in a place of its own, then stop and remove it (for CI).")
def demo(*, once: bool) -> None:
    """Start Riad and take examples/flask-hello from `git push` to a live URL."""
    if not once:
        _show(homes.of(), CHECKOUT / ".demo" / SERVICE)
        return
    folder = Path(tempfile.mkdtemp(prefix="riad-demo-"))
    os.environ.update(RIAD_HOME=str(folder), RIAD_PORT=os.environ.get("RIAD_PORT") or str(_free_port()))
    try:
        _show(homes.of(), folder / "work" / SERVICE)
        _roll_back_and_check(homes.of())
    except BaseException:
        _show_logs(homes.of())
        raise
    finally:
        _riad("down")
        shutil.rmtree(folder, ignore_errors=True)
    _say("Everything answered; Riad is stopped and removed")


def _show(home: Home, work: Path) -> None:
    times = Times()
    _say("Starting Riad")
    with times.of("riad up → ready"):
        _riad("up")
    _say("Base images, made from this distribution's package mirror (cached)")
    with times.of("base images"):
        _riad("base", "build", python_image(), TOOLS)
    api = apis.connect()
    _say(f"The project {PROJECT}")
    _ensure_project(api)
    _say("git push --set-upstream origin main")
    began = time.monotonic()
    with times.of("git push"):
        sha = _push(work, home, api)
    status = follow(api, PROJECT, sha=sha, timeout=600)
    if status != "success":
        raise click.ClickException(f"the pipeline ended {status}; see {home.external_url}/{PROJECT}/-/pipelines")
    url = f"http://{SERVICE}.{home.domain}:{home.port}"
    answer = ask(url)
    times.parts.extend(_job_times(api, sha))
    times.parts.append(("push → new version answers", time.monotonic() - began))
    _conclude(home, work, url, answer, times)


def _conclude(home: Home, work: Path, url: str, answer: str, times: Times) -> None:
    _say(f"Live: {click.style(url, bold=True)} answers {answer!r}")
    times.show()
    click.echo(f"\n  Riad itself   {home.external_url}/{PROJECT}")
    if password := one_time_password(home):
        click.echo(f"  sign in as    root, one-time password {password}")
    click.echo(
        f"""
Try next:
  cd {work}
  change the greeting in app.py, then   git commit -am "Say something else" && git push
  break the test (greet with "Goodbye"), push, and see that nothing is deployed
  .venv/bin/riad pipeline watch {PROJECT}
  .venv/bin/riad rollback {PROJECT}
  .venv/bin/riad status
  .venv/bin/riad down
"""
    )


def _roll_back_and_check(home: Home) -> None:
    """A second version, live; then back to the first; then a broken one that must not get through."""
    api = apis.connect()
    work = home.root / "work" / SERVICE
    url = f"http://{SERVICE}.{home.domain}:{home.port}"
    _say("A second version, then a roll-back")
    sha = _change(work, "Hello, Docker!", "Hello, Riad!")
    _expect(follow(api, PROJECT, sha=sha, timeout=300), "success")
    _expect(ask(url), "Hello, Riad!")
    _riad("rollback", PROJECT)
    _expect(ask(url), "Hello, Docker!")
    _say("A version whose test fails")
    sha = _change(work, "Hello, Riad!", "Goodbye!")
    _expect(follow(api, PROJECT, sha=sha, timeout=300), "failed")
    _expect(ask(url), "Hello, Docker!")
    _riad("status")


def _change(work: Path, old: str, new: str) -> str:
    app = work / "app.py"
    app.write_text(app.read_text().replace(old, new))
    _git(work, "commit", "--quiet", "--all", "--message", f"Say {new}")
    _git(work, "push", "--quiet")
    return _git(work, "rev-parse", "HEAD").strip()


def _expect(found: str, wanted: str) -> None:
    if found != wanted:
        raise click.ClickException(f"expected {wanted!r}, found {found!r}")


def _ensure_project(api: Api) -> None:
    try:
        api.get(project_path(PROJECT))
        click.echo("  is there already")
    except Fault as fault:
        if fault.kind is not Kind.NOT_FOUND:
            raise
        _riad("project", "create", PROJECT, "--visibility", "public")


def _push(work: Path, home: Home, api: Api) -> str:
    """The first time: init, add, commit, remote add, push. Later: one more commit. Returns the pushed commit."""
    fresh = not (work / ".git").exists()
    if fresh:
        copy_example(work)
        _git(work, "init", "--quiet", "--initial-branch=main")
        _keep_credentials(work, home, api)
        _git(work, "add", ".")
        _git(work, "commit", "--quiet", "--message", "Say hello")
        _git(work, "remote", "add", "origin", f"{home.external_url}/{PROJECT}.git")
    else:
        _keep_credentials(work, home, api)
        _git(work, "remote", "set-url", "origin", f"{home.external_url}/{PROJECT}.git")
        _git(work, "commit", "--quiet", "--allow-empty", "--all", "--message", "Run the demo again")
    _git(work, "push", "--quiet", "--set-upstream", "origin", "main")
    _hand_to_caller(work)
    return _git(work, "rev-parse", "HEAD").strip()


def python_image() -> str:
    """The example's Python, or the one that this host's distribution has instead (Ubuntu)."""
    from riad.base import host
    from riad.base.recipes import offered

    made = [recipe.name for recipe in offered(*host.distribution()) if recipe.family == "python"]
    return PYTHON if PYTHON in made or not made else made[0]


def copy_example(work: Path) -> None:
    shutil.copytree(EXAMPLE, work, dirs_exist_ok=True)
    for name in ("Dockerfile", ".gitlab-ci.yml"):
        file = work / name
        file.write_text(file.read_text().replace(PYTHON, python_image()))


def _keep_credentials(work: Path, home: Home, api: Api) -> None:
    """Lets plain `git push` work in this folder, without a secret in the remote's URL."""
    file = work / ".git" / "riad-credentials"
    file.touch(mode=0o600)
    parts = urlsplit(home.external_url)
    file.write_text(f"{parts.scheme}://root:{api.token}@{parts.netloc}\n")
    _git(work, "config", "credential.helper", f"store --file={file}")
    for key, value in (("user.name", "Riad Demo"), ("user.email", "demo@localhost")):
        _git(work, "config", key, value)


def _hand_to_caller(work: Path) -> None:
    """What sudo made belongs to who called sudo."""
    owner = os.environ.get("SUDO_UID")
    if owner is not None:
        for path in (work.parent, work, *work.rglob("*")):
            os.chown(path, int(owner), int(os.environ.get("SUDO_GID", "-1")), follow_symlinks=False)


def _git(work: Path, *arguments: str) -> str:
    work.mkdir(parents=True, exist_ok=True)
    command = ["git", "-c", f"safe.directory={work}", *arguments]
    done = subprocess.run(command, cwd=work, check=False, text=True, capture_output=True, env=_git_environ(os.environ))
    if done.returncode != 0:
        raise click.ClickException(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _git_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Without the variables by which an outer git (a hook, a rebase) would redirect this one; never asking."""
    kept = {key: value for key, value in environ.items() if not key.startswith("GIT_") or key.startswith("GIT_SSL")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0"}


def ask(url: str, *, within: float = 10.0) -> str:
    """What `url` answers; asked through the loopback address, as not every resolver knows NAME.localhost."""
    parts = urlsplit(url)
    request = urllib.request.Request(
        f"http://127.0.0.1:{parts.port}{parts.path or '/'}", headers={"Host": parts.netloc}
    )
    deadline = time.monotonic() + within
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                text: bytes = answer.read()
                return text.decode()
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise click.ClickException(f"{url} does not answer: {error}") from None
            time.sleep(0.1)


def _job_times(api: Api, sha: str) -> list[tuple[str, float]]:
    found = api.get(f"{project_path(PROJECT)}/pipelines", sha=sha, per_page=1)[0]
    return [(f"job {job['name']}", float(job["duration"] or 0)) for job in jobs_of(api, PROJECT, found["id"])]


def _riad(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "riad.cli.main", *arguments], check=False)
    if done.returncode != 0:
        raise click.ClickException(f"riad {arguments[0]} failed")


def _show_logs(home: Home) -> None:
    for log in sorted(home.logs.glob("*.log")):
        click.echo(f"--- {log.name}", err=True)
        click.echo("\n".join(log.read_text(errors="replace").splitlines()[-25:]), err=True)


def _say(text: str) -> None:
    click.secho(f"==> {text}", bold=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    try:
        demo.main(standalone_mode=True)
    except Fault as fault:
        raise SystemExit(f"script/demo: {fault.message}") from None
