"""Images in and out of Riad's engine beside dockerd, and Riad's registry beside Debian's docker-registry.

    python bench/peers.py fetch          once: dockerd, into .cache
    python bench/images.py               every row
    python bench/images.py --only load,pull --repeat 5

Images are composed of the base images that `riad base build` keeps, and of noise. The engines and the registries share
one room (see `peers`), and take turns, so that noise of the host meets all alike; medians are compared. Says for each
row whether its bar is met, and ends with 1 where one is not.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import peers

MB = 1 << 20
BASES = Path("/var/cache/riad/base")
CLIENTS, LAYER = 8, 100 * MB
REGISTRY = "localhost:5055"
RIAD = "127.0.0.1:5056"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="load,load1g,pull,push,registry", help="rows to measure")
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    if "RIAD_ROOM" not in os.environ:
        here = Path(__file__)
        command = [sys.executable, str(here.with_name("peers.py")), "room", "--", sys.executable, str(here)]
        return subprocess.run([*command, *sys.argv[1:]], check=False).returncode
    wanted = asked.only.split(",")
    folder = Path(tempfile.mkdtemp(prefix="riad-bench-images-"))
    try:
        print(f"{'':44} {'riad':>9} {'peer':>9} {'ratio':>7} {'bar':>6}", flush=True)
        with docker_registry(folder):
            good = engines(folder, wanted, asked.repeat)
            if "registry" in wanted:
                good &= registries(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


def verdict(what: str, ours: Sequence[float], theirs: Sequence[float], bar: float) -> bool:
    """Prints a row; smaller is better."""
    one, other = statistics.median(ours), statistics.median(theirs)
    good = one <= bar * other
    marks = f"{one / other:7.2f} {bar:6.2f}  {'ok' if good else 'MISSED'}"
    print(f"{what:44} {one * 1000:7.0f}ms {other * 1000:7.0f}ms {marks}", flush=True)
    return good


# Images


def noise(size: int) -> bytes:
    """A layer of one file that no compression makes smaller."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(f"noise-{os.urandom(4).hex()}")
        info.size = size
        archive.addfile(info, io.BytesIO(os.urandom(size)))
    return file.getvalue()


def base(name: str) -> bytes:
    found = sorted(BASES.glob(f"{name}*.tar"))
    if not found:
        raise SystemExit(f"{BASES} has no {name}: riad base build {name.replace('-', ':', 1)}")
    return found[0].read_bytes()


def archive(file: Path, name: str, layers: Sequence[bytes]) -> None:
    """As `docker save` writes it."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    members = {f"blobs/sha256/{digest}": layer for digest, layer in zip(digests, layers, strict=True)}
    top = f"blobs/sha256/{hashlib.sha256(config).hexdigest()}"
    table = [{"Config": top, "RepoTags": [name], "Layers": list(members)}]
    with tarfile.open(file, "w") as made:
        for path, body in {**members, top: config, "manifest.json": json.dumps(table).encode()}.items():
            info = tarfile.TarInfo(path)
            info.size = len(body)
            made.addfile(info, io.BytesIO(body))


# Engines


@dataclass
class Engine:
    peer: peers.Peer
    times: dict[str, list[float]] = field(default_factory=dict)

    def docker(self, *arguments: str) -> None:
        environ = {**os.environ, **self.peer.environ, "DOCKER_HOST": self.peer.host}
        done = subprocess.run(["docker", *arguments], env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.peer.name}: docker {' '.join(arguments)}: {done.stderr}")

    def timed(self, row: str, *arguments: str) -> None:
        os.sync()
        began = time.monotonic()
        self.docker(*arguments)
        self.times.setdefault(row, []).append(time.monotonic() - began)


def engines(folder: Path, wanted: Sequence[str], repeat: int) -> bool:
    if not {"load", "load1g", "pull", "push"} & set(wanted):
        return True
    small, large = folder / "small.tar", folder / "large.tar"
    name = f"{REGISTRY}/bench/small:1"
    layers = [base("docker-cli"), noise(32 * MB)]
    archive(small, name, layers)
    if "load1g" in wanted:
        others = [base("node"), base("python-3.11"), base("debian"), noise(230 * MB)]
        archive(large, "large:1", [layers[0], *others])
    copy = ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false"]
    subprocess.run([*copy, f"docker-archive:{small}", f"docker://{name}"], check=True)
    good = True
    with peers.running("riad") as ours, peers.running("dockerd") as theirs:
        both = [Engine(ours), Engine(theirs)]
        rows = [
            ("load", 0.9, "docker load, 245 MB", lambda e, _: _load(e, "load", small, name)),
            ("load1g", 0.9, "docker load, 1 GB", lambda e, _: _load(e, "load1g", large, "large:1")),
            ("pull", 0.7, "docker pull of it, local registry", lambda e, _: _pull(e, name)),
            ("push", 0.8, "docker push, one layer changed", lambda e, n: _push(e, folder, layers, n)),
        ]
        for row, bar, title, once in rows:
            if row in wanted:
                for number in range(repeat + 1):
                    for engine in both if number % 2 else both[::-1]:
                        once(engine, number)
                one, other = (engine.times[row][1:] for engine in both)  # the first warms the page cache
                good &= verdict(title, one, other, bar)
    return good


def _load(engine: Engine, row: str, file: Path, name: str) -> None:
    engine.timed(row, "load", "-q", "-i", str(file))
    engine.docker("rmi", "-f", name)


def _pull(engine: Engine, name: str) -> None:
    engine.timed("pull", "pull", "-q", name)
    engine.docker("rmi", "-f", name)


def _push(engine: Engine, folder: Path, layers: Sequence[bytes], number: int) -> None:
    name = f"{REGISTRY}/bench/{engine.peer.name}:{number}"
    changed = folder / "changed.tar"
    archive(changed, name, [*layers, noise(4 * MB)])
    engine.docker("load", "-q", "-i", str(changed))  # what was pushed stays, and with it the layers below
    engine.timed("push", "push", "-q", name)


# Registries


@contextlib.contextmanager
def docker_registry(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "registry.yml"
    config.write_text(
        f'version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\nhttp: {{addr: "{REGISTRY}"}}\n'
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\n"
    )
    with _server(["docker-registry", "serve", str(config)], f"http://{REGISTRY}/v2/", {}) as process:
        yield process


@contextlib.contextmanager
def riad_registry(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "riad.cli.main", "server", "--data-dir", str(folder / "server")]
    environ = {"RIAD_ROOT_PASSWORD": "bench-bench", "RIAD_ROOT_TOKEN": "bench-bench-token", "RIAD_LISTEN": RIAD}
    with _server(command, f"http://{RIAD}/-/health", environ) as process:
        request = urllib.request.Request(
            f"http://{RIAD}/api/v4/projects",
            data=b'{"name": "bench"}',
            headers={"PRIVATE-TOKEN": "bench-bench-token", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=30).close()
        yield process


@contextlib.contextmanager
def _server(command: list[str], url: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    log = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as the process
    environ = {**os.environ, **environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=5).close()
                break
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(log.read().decode(errors="replace")[-2000:])
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def registries(folder: Path) -> bool:
    """Eight clients at once, each pushing and then pulling layers of 100 MB of its own."""
    files = []
    for number in range(CLIENTS):
        files.append(folder / f"layer-{number}")
        files[-1].write_bytes(os.urandom(LAYER))
    basic = "Basic " + base64.b64encode(b"root:bench-bench-token").decode()
    with riad_registry(folder) as process:
        times: dict[str, list[list[float]]] = {"push": [[], []], "pull": [[], []]}
        for turn in range(3):
            targets = [(f"http://{RIAD}", f"root/bench/t{turn}", basic), (f"http://{REGISTRY}", f"bench/t{turn}", "")]
            for place, (address, repository, header) in enumerate(targets):
                for file in files:  # other content, so that nothing is there already
                    with file.open("r+b") as opened:
                        opened.write(os.urandom(64))
                for row, work in (("push", _send), ("pull", _fetch)):
                    os.sync()
                    began = time.monotonic()
                    with ThreadPoolExecutor(CLIENTS) as pool:
                        jobs = [pool.submit(work, address, repository, header, file) for file in files]
                        for job in jobs:
                            job.result()
                    times[row][place].append(time.monotonic() - began)
        good = verdict(f"registry: {CLIENTS} × 100 MB pushed", *times["push"], 1.0)
        good &= verdict(f"registry: {CLIENTS} × 100 MB pulled", *times["pull"], 1.0)
        peak = _peak(process.pid)
        print(f"{'registry: most memory':44} {peak:6.0f} MB{'':18} {150:6} {'ok' if peak <= 150 else 'MISSED'}")
    return good and peak <= 150


def _curl(header: str, *arguments: str) -> str:
    credentials = ["-H", f"Authorization: {header}"] if header else []
    done = subprocess.run(["curl", "-sS", "-f", *credentials, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"curl {arguments}: {done.stderr}")
    return done.stdout


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _send(address: str, repository: str, header: str, file: Path) -> None:
    head = _curl(header, "-X", "POST", "-D", "-", "-o", "/dev/null", f"{address}/v2/{repository}/blobs/uploads/")
    location = next(line.split(None, 1)[1].strip() for line in head.splitlines() if line.lower().startswith("location"))
    url = location if "://" in location else address + location
    joined = f"{url}{'&' if '?' in url else '?'}digest={_digest(file)}"
    kind = "Content-Type: application/octet-stream"
    _curl(header, "-T", str(file), "-H", kind, "-H", "Expect:", "-o", "/dev/null", joined)


def _fetch(address: str, repository: str, header: str, file: Path) -> None:
    _curl(header, "-o", "/dev/null", f"{address}/v2/{repository}/blobs/{_digest(file)}")


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


if __name__ == "__main__":
    sys.exit(main())
