"""`docker commit` and `docker top` by the stock clients."""

from __future__ import annotations

import json

import docker
import pytest

from engine_fixture import BASE, RunningEngine

pytestmark = pytest.mark.root


def test_a_committed_container_is_an_image_with_its_files_and_settings(engine: RunningEngine) -> None:
    engine.docker(
        "run", "-d", "--name", "made", "-e", "A=1", "--label", "team=blue", "-v", "made-data:/data", BASE,
        "sh", "-c", "echo mine >/root/file; rm /etc/group; echo v >/data/inside; exec sleep 1000",
    )  # fmt: skip
    engine.docker("exec", "made", "sh", "-c", "until [ -e /data/inside ]; do :; done")
    changes = ("ENV B=2", 'ENTRYPOINT ["/bin/cat"]', "EXPOSE 8080", "LABEL by=test", "WORKDIR /root", "USER 0")
    flags = [flag for change in changes for flag in ("--change", change)]
    identifier = engine.out("commit", "-a", "Ann <ann@example>", "-m", "why", *flags, "made", "made:2")
    image = json.loads(engine.out("image", "inspect", "made:2"))[0]
    assert image["Id"] == identifier
    assert (image["Author"], image["Comment"]) == ("Ann <ann@example>", "why")
    config = image["Config"]
    assert (config["Entrypoint"], config["Cmd"], config["WorkingDir"]) == (["/bin/cat"], None, "/root")
    assert {"A=1", "B=2"} <= set(config["Env"])
    assert config["Labels"].items() >= {"team": "blue", "by": "test"}.items()
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert engine.out("run", "--rm", "made:2", "file") == "mine"
    gone = engine.docker("run", "--rm", "made:2", "/etc/group", check=False)
    assert "No such file or directory" in gone.err
    listed = engine.out("run", "--rm", "--entrypoint", "ls", "made:2", "/data", "/etc")
    assert "inside" not in listed and "resolv.conf" in listed  # the volume stayed out; the name files are mounted anew
    assert "why" in engine.out("history", "--format", "{{.Comment}}", "made:2").splitlines()
    assert engine.out("inspect", "-f", "{{.State.Paused}}", "made") == "false"


def test_a_resting_container_is_committed_without_a_name(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "still", BASE, "echo", "hello")
    client = docker.DockerClient(base_url=engine.host)
    image = client.containers.get("still").commit(conf={"Env": ["C=3"], "Cmd": ["echo", "other"]}, pause=False)
    assert image.tags == []
    assert image.attrs["Config"]["Cmd"] == ["echo", "other"]
    assert "C=3" in image.attrs["Config"]["Env"]
    client.close()


def test_commits_that_cannot_be_are_refused(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "still", BASE, "true")
    assert "No such container: nothing" in engine.docker("commit", "nothing", check=False).err
    assert "run is not a valid change command" in engine.docker("commit", "-c", "RUN x", "still", check=False).err
    assert "invalid reference format" in engine.docker("commit", "still", "Odd Name", check=False).err


def test_top_takes_any_arguments_of_ps(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "busy", BASE, "sleep", "61")
    assert engine.out("top", "busy", "-o", "pid,args").splitlines()[1].endswith("sleep 61")
    assert "sleep 61" in engine.out("top", "busy", "aux")
    for arguments, sentence in (
        (("-o", "args"), "Couldn't find PID field in ps output"),
        (("-o", "user=PID"), 'specifying "user=PID" is not allowed'),
        (("--nonsense",), "ps: "),
    ):
        refused = engine.docker("top", "busy", *arguments, check=False)
        assert refused.code == 1 and sentence in refused.err
    engine.docker("pause", "busy")
    assert "sleep 61" in engine.out("top", "busy")
    engine.docker("unpause", "busy")
    engine.docker("stop", "-t", "0", "busy")
    identifier = engine.out("inspect", "-f", "{{.Id}}", "busy")
    assert f"container {identifier} is not running" in engine.docker("top", "busy", check=False).err
