"""The stock buildx against a real engine. Skipped where docker has no buildx plugin."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from buildx_client import Buildx
from elsewhere import docker_registry

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_build_shows_its_steps_and_gives_an_image(buildx: Buildx) -> None:
    done = buildx.build("FROM base:1\nCOPY a /a\nRUN echo hello from $(cat /a)\n", a="file")
    assert done.code == 0, done.err
    assert "[2/3] COPY a /a" in done.err
    assert "hello from file" in done.err
    assert "naming to docker.io/library/made:1 done" in done.err
    assert buildx.cat("/a") == "file"
    again = buildx.build("FROM base:1\nCOPY a /a\nRUN echo hello from $(cat /a)\n", a="file")
    assert again.err.count("CACHED") == 2


def test_a_failure_shows_the_lines_around(buildx: Buildx) -> None:
    done = buildx.build("FROM base:1\nENV A=1\nRUN exit 3\nENV B=2\n")
    assert done.code == 1
    assert "Dockerfile:3" in done.err
    assert "   3 | >>> RUN exit 3" in done.err
    assert 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3' in done.err


def test_quiet_prints_the_image(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM base:1\n"})
    done = buildx.run("build", "-q", ".")
    assert done.out.startswith("sha256:")
    assert buildx.run("image", "inspect", done.out.strip()).code == 0


def test_secrets_come_from_files_and_the_environment(buildx: Buildx) -> None:
    buildx.write({"token": "from file"})
    text = (
        "FROM base:1\nRUN --mount=type=secret,id=a cat /run/secrets/a\n"
        "RUN --mount=type=secret,id=b,target=/b cat /b\nRUN --mount=type=secret,id=c,required true\n"
    )
    done = buildx.build(text, "--secret", "id=a,src=token", "--secret", "id=b,env=TOKEN")
    assert "from file" in done.err
    assert "secret c: not found" in done.err
    buildx.write({"Dockerfile": "FROM base:1\nRUN --mount=type=secret,id=b,target=/b cat /b && true\n"})
    done = buildx.run("build", "--progress=plain", "--secret", "id=b,env=TOKEN", ".", env={"TOKEN": "from env"})
    assert "from env" in done.err


def test_keys_are_used_through_the_forwarded_agent(buildx: Buildx) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("needs ssh-agent")
    socket = buildx.engine.root / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        text = (
            'FROM base:1\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo there\nRUN test -z "$SSH_AUTH_SOCK"\n'
        )
        done = buildx.build(text, "--ssh", f"default={socket}")
        assert done.code == 0, done.err
        assert "there" in done.err
    finally:
        agent.terminate()
        agent.wait()


def test_outputs_are_archives_tars_and_folders(buildx: Buildx, tmp_path: Path) -> None:
    text = "FROM base:1 AS base\nRUN echo made > /made\nFROM scratch\nCOPY --from=base /made /dir/made\n"
    assert buildx.build(text, "--output", "type=local,dest=out").code == 0
    assert (tmp_path / "out/dir/made").read_text() == "made\n"
    assert buildx.build(text, "--output", "type=tar,dest=out.tar").code == 0
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert tar.getnames() == ["dir", "dir/made"]
    for kind in ("docker", "oci"):
        done = buildx.build(text, "--output", f"type={kind},dest={kind}.tar")
        assert done.code == 0, done.err
        loaded = buildx.run("load", stdin=(tmp_path / f"{kind}.tar").read_bytes())
        assert "made:1" in loaded.out, loaded.err


def test_what_was_made_is_written_to_files(buildx: Buildx, tmp_path: Path) -> None:
    done = buildx.build("FROM base:1\nLABEL a=b\n", "--metadata-file", "meta", "--iidfile", "id")
    assert done.code == 0, done.err
    image = buildx.run("image", "inspect", "-f", "{{.Id}}", "made:1").out.strip()
    assert (tmp_path / "id").read_text() == image
    assert json.loads((tmp_path / "meta").read_text())["containerimage.config.digest"] == image


def test_the_dockerfile_may_come_from_standard_input(buildx: Buildx) -> None:
    buildx.write({"a": "from context"})
    done = buildx.run("build", "-t", "made:1", "-f", "-", ".", stdin=b"FROM base:1\nCOPY a /a\n")
    assert done.code == 0, done.err
    assert buildx.cat("/a") == "from context"
    done = buildx.run("build", "-t", "made:1", "-", stdin=b"FROM base:1\nRUN echo alone > /a\n")
    assert done.code == 0, done.err
    assert buildx.cat("/a") == "alone\n"


def test_the_context_may_be_a_tar_from_standard_input(buildx: Buildx) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {"Dockerfile": b"FROM base:1\nCOPY a /a\n", "a": b"from tar"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    done = buildx.run("build", "-t", "made:1", "-", stdin=buffer.getvalue())
    assert done.code == 0, done.err
    assert buildx.cat("/a") == "from tar"


def test_named_contexts_are_folders_and_images(buildx: Buildx) -> None:
    buildx.write({"other/file": "from folder"})
    done = buildx.build(
        "FROM thing\nCOPY --from=more file /file\nRUN --mount=from=more,target=/m cat /m/file\n",
        "--build-context", "more=other", "--build-context", "thing=docker-image://base:1",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert buildx.cat("/file") == "from folder"


def test_targets_arguments_labels_hosts_and_networks(buildx: Buildx) -> None:
    text = (
        "ARG V=0\nFROM base:1 AS one\nARG V TARGETARCH\nRUN echo $V $TARGETARCH > /v\n"
        "RUN cat /etc/hosts >> /v; ls /sys/class/net >> /v\n"
        "FROM base:1 AS two\nRUN exit 1\n"
    )
    done = buildx.build(
        text, "--target", "one", "--build-arg", "V=5", "--label", "l=m", "--add-host", "some.host=10.1.2.3",
        "--network", "none", "--shm-size", "1m", "--ulimit", "nofile=99",
    )  # fmt: skip
    assert done.code == 0, done.err
    value = buildx.cat("/v")
    assert value.startswith("5 ")
    assert "10.1.2.3\tsome.host" in value
    assert "eth0" not in value
    assert buildx.run("image", "inspect", "-f", "{{.Config.Labels.l}}", "made:1").out == "m\n"


def test_a_stage_is_built_anew_alone(buildx: Buildx) -> None:
    text = "FROM base:1 AS one\nRUN date +%N > /one\nFROM base:1 AS two\nRUN date +%N > /two\nCOPY --from=one /one /\n"
    buildx.build(text)
    one, two = buildx.cat("/one"), buildx.cat("/two")
    buildx.build(text, "--no-cache-filter", "two")
    assert buildx.cat("/one") == one
    assert buildx.cat("/two") != two


def test_disk_usage_and_pruning(buildx: Buildx) -> None:
    buildx.build("FROM base:1\nRUN echo kept > /kept\n")
    assert "RUN /bin/sh -c echo kept > /kept" in buildx.run("buildx", "du", "--verbose").out
    assert "Total:" in buildx.run("buildx", "prune", "-f").out
    assert "echo kept" not in buildx.run("buildx", "du", "--verbose").out


def test_builders_are_listed_and_inspected(buildx: Buildx) -> None:
    assert "running" in buildx.run("buildx", "ls").out
    assert "linux/amd64" in buildx.run("buildx", "inspect").out


def test_compose_builds_and_starts(compose: Buildx) -> None:
    compose.write(
        {
            "compose.yaml": "services:\n  app:\n    build: {context: app, args: {V: '7'}}\n    image: composed:1\n",
            "app/Dockerfile": "FROM base:1\nARG V\nRUN echo $V > /v\nCMD cat /v\n",
        }
    )
    done = compose.run("compose", "-p", "buildx-test", "build")
    assert done.code == 0, done.err
    assert compose.cat("/v", "composed:1") == "7\n"
    try:
        done = compose.run("compose", "-p", "buildx-test", "up", "--build", "--abort-on-container-exit")
        assert done.code == 0, done.err
        assert "7" in done.out
    finally:
        compose.run("compose", "-p", "buildx-test", "down")


def test_parameters_and_targets_are_printed(buildx: Buildx) -> None:
    buildx.write(
        {"Dockerfile": "ARG V=1\nFROM base:1 AS one\nRUN --mount=type=secret,id=s true\nFROM one AS two\nARG V\n"}
    )
    env = {"BUILDX_EXPERIMENTAL": "1"}
    targets = buildx.run("buildx", "build", "--print=targets", ".", env=env)
    assert "one" in targets.out and "two (default)" in targets.out
    outline = buildx.run("buildx", "build", "--print=outline", ".", env=env)
    assert "V" in outline.out and "SECRET" in outline.out, outline.err


def test_a_target_of_bake_stands_on_another(buildx: Buildx) -> None:
    buildx.write(
        {
            "docker-bake.hcl": 'target "base" {dockerfile = "base.Dockerfile"}\n'
            'target "default" {\ncontexts = {thing = "target:base"}\ntags = ["made:1"]\n}\n',
            "base.Dockerfile": "FROM base:1\nRUN echo below > /below\n",
            "Dockerfile": "FROM thing\nRUN echo above >> /below\n",
        }
    )
    done = buildx.run("buildx", "bake", "--progress=plain")
    assert done.code == 0, done.err
    assert buildx.cat("/below") == "below\nabove\n"


_CACHED = (
    "FROM base:1 AS one\nRUN date +%N > /one; echo > /other\nFROM base:1\nCOPY --from=one /one /\nRUN date +%N > /two\n"
)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs docker-registry")
def test_the_cache_travels_through_a_registry(buildx: Buildx, tmp_path: Path, mode: str) -> None:
    with docker_registry(tmp_path / "registry") as host:
        cache = f"type=registry,ref={host}/cache:{mode}"
        done = buildx.build(_CACHED, "--cache-to", f"{cache},mode={mode}")
        assert done.code == 0, done.err
        values = buildx.cat("/one"), buildx.cat("/two")
        buildx.run("rmi", "made:1")
        buildx.run("buildx", "prune", "-af")
        done = buildx.build(_CACHED, "--cache-from", cache)
        assert done.code == 0, done.err
        again = buildx.cat("/one"), buildx.cat("/two")
        assert (again == values) == (mode == "max"), done.err
        assert f"{host}/cache" not in buildx.run("images").out
        done = buildx.build(_CACHED, "--cache-from", f"type=registry,ref={host}/none")
        assert done.code == 0 and "no cache from" in done.err


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs docker-registry")
def test_an_image_is_pushed_with_its_cache_in_it(buildx: Buildx, tmp_path: Path) -> None:
    text = "FROM base:1\nRUN date +%N > /one\n"
    with docker_registry(tmp_path / "registry") as host:
        name = f"{host}/app:1"
        buildx.write({"Dockerfile": text})
        done = buildx.run("buildx", "build", "-t", name, "--push", "--cache-to", "type=inline", ".")
        assert done.code == 0, done.err
        value = buildx.cat("/one", name)
        buildx.run("rmi", name)
        buildx.run("buildx", "prune", "-af")
        done = buildx.build(text, "--cache-from", name)
        assert "CACHED" in done.err
        assert buildx.cat("/one") == value


def test_what_is_not_supported_is_refused_by_name(buildx: Buildx) -> None:
    refused = {
        "--cache-to type=local,dest=out": "--cache-to type=local is not supported",
        "--output type=oci,dest=o,compression=zstd": "compression=zstd is not supported",
        "--platform linux/s390x": "platform linux/s390x is not supported",
    }
    for arguments, message in refused.items():
        done = buildx.build("FROM base:1\n", *arguments.split())
        assert done.code == 1
        assert message in done.err


def test_the_time_of_an_image_may_be_given(buildx: Buildx) -> None:
    done = buildx.build("FROM base:1\nRUN true\nLABEL a=b\n", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
    assert done.code == 0, done.err
    assert buildx.run("image", "inspect", "-f", "{{.Created}}", "made:1").out.startswith("2001-09-09T01:46:40")
