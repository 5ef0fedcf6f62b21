"""`docker run` and what it promises."""

from __future__ import annotations

import subprocess

import pytest

from engine_fixture import BASE, RunningEngine, Terminal, wait_until

pytestmark = pytest.mark.root


def test_output_exit_code_and_streams_come_back_apart(engine: RunningEngine) -> None:
    said = engine.docker("run", "--rm", BASE, "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert (said.code, said.out, said.err) == (3, "out\n", "err\n")
    assert engine.out("ps", "-aq") == ""


def test_all_output_arrives_however_quick_the_end(engine: RunningEngine) -> None:
    assert engine.out("run", "--rm", BASE, "seq", "1", "20000").splitlines()[-1] == "20000"


def test_input_is_passed_on_and_ends_with_the_client(engine: RunningEngine) -> None:
    text = "line\n" * 50_000
    assert engine.docker("run", "--rm", "-i", BASE, "cat", stdin=text).out == text


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [("nosuch", 127, "executable file not found in $PATH"), ("/etc", 126, "permission denied")],
)
def test_a_command_that_cannot_start_gives_the_shell_exit_code(
    engine: RunningEngine, command: str, code: int, sentence: str
) -> None:
    said = engine.docker("run", "--rm", BASE, command, check=False)
    assert said.code == code
    assert sentence in said.err
    assert engine.out("ps", "-aq") == ""


def test_a_container_that_never_started_stays_created(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "never", BASE, "nosuch", check=False)
    assert engine.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "never") == "created 127"


def test_settings_reach_the_process(engine: RunningEngine) -> None:
    said = engine.out(
        "run", "--rm", "-e", "A=b", "-w", "/tmp/new", "-u", "app", "--hostname", "box", BASE,
        "sh", "-c", "echo $A; pwd; id -u; id -Gn; hostname; echo $HOME",
    )  # fmt: skip
    assert said.splitlines() == ["b", "/tmp/new", "1000", "app extra", "box", "/home/app"]


def test_limits_are_those_that_were_asked_for(engine: RunningEngine) -> None:
    said = engine.out(
        "run", "--rm", "--memory", "64m", "--pids-limit", "50", "--ulimit", "nofile=100:200", BASE, "sh", "-c",
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; "
        "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; ulimit -n; ulimit -Hn",
    )  # fmt: skip
    assert said.splitlines() == [str(64 * 2**20), "50", "100", "200"]


def test_a_container_is_confined_and_a_privileged_one_is_not(engine: RunningEngine) -> None:
    probe = "grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status; mkdir /x && mount -t tmpfs none /x && echo mounted"
    plain = engine.docker("run", "--rm", BASE, "sh", "-c", probe, check=False).out
    assert "a80425fb" in plain
    assert "Seccomp:\t2" in plain
    assert "mounted" not in plain
    open_ = engine.out("run", "--rm", "--privileged", BASE, "sh", "-c", probe)
    assert "Seccomp:\t0" in open_
    assert "mounted" in open_
    assert "NoNewPrivs:\t1" in engine.docker(
        "run", "--rm", "--security-opt", "no-new-privileges", BASE, "sh", "-c", probe, check=False
    ).out  # fmt: skip


def test_capabilities_are_added_and_dropped_by_name(engine: RunningEngine) -> None:
    said = engine.out(
        "run", "--rm", "--cap-drop", "ALL", "--cap-add", "net_admin", BASE, "grep", "CapEff", "/proc/self/status"
    )
    assert said.split()[1] == "0000000000001000"


def test_volumes_outlive_containers_and_binds_are_the_host_files(engine: RunningEngine) -> None:
    folder = engine.root / "bound"
    engine.docker(
        "run", "--rm", "-v", "keep:/data", "-v", f"{folder}:/b", BASE, "sh", "-c", "echo 1 >/data/f; echo 2 >/b/f"
    )
    assert (folder / "f").read_text() == "2\n"
    assert engine.out("run", "--rm", "-v", "keep:/data:ro", BASE, "cat", "/data/f") == "1"
    said = engine.docker("run", "--rm", "-v", "keep:/data:ro", BASE, "touch", "/data/g", check=False)
    assert "Read-only file system" in said.err
    engine.docker("volume", "rm", "keep")


def test_an_anonymous_volume_goes_with_rm(engine: RunningEngine) -> None:
    engine.docker("run", "--rm", "-v", "/data", BASE, "touch", "/data/f")
    wait_until(lambda: engine.out("volume", "ls", "-q") == "")


def test_a_read_only_container_may_write_to_its_tmpfs_alone(engine: RunningEngine) -> None:
    said = engine.docker(
        "run", "--rm", "--read-only", "--tmpfs", "/t:size=1m", BASE, "sh", "-c", "touch /t/ok; touch /no", check=False
    )
    assert "Read-only file system" in said.err
    assert "/t" not in said.err


def test_a_person_at_a_terminal_has_a_shell(engine: RunningEngine) -> None:
    with Terminal(engine, "run", "-it", "--rm", "--name", "shell", BASE, "sh") as terminal:
        terminal.expect("# ")
        terminal.type("tty; echo $((40 + 2)); stty size\r")
        terminal.expect("/dev/pts/0")
        terminal.expect("42")
        terminal.type("exit 5\r")
        assert terminal.wait() == 5


def test_detach_keys_leave_the_container_running(engine: RunningEngine) -> None:
    with Terminal(engine, "run", "-it", "--name", "left", BASE, "sh") as terminal:
        terminal.expect("# ")
        terminal.type("\x10\x11")
        terminal.wait()
    assert engine.out("inspect", "-f", "{{.State.Running}}", "left") == "true"
    with Terminal(engine, "attach", "left") as terminal:
        terminal.type("echo back$((1))\r")
        terminal.expect("back1")
        terminal.type("exit 0\r")
        assert terminal.wait() == 0


def test_an_init_reaps_what_its_children_leave(engine: RunningEngine) -> None:
    said = engine.out("run", "--rm", "--init", BASE, "sh", "-c", "cat /proc/1/comm; exit 0")
    assert said in ("docker-init", "catatonit")


def test_networks_shared_with_the_host_another_container_or_nobody(engine: RunningEngine) -> None:
    interfaces = ("sh", "-c", "cat /proc/net/dev | grep -c :")
    assert engine.out("run", "--rm", "--network", "none", BASE, *interfaces) == "1"
    engine.docker("run", "-d", "--name", "owner", BASE, "sleep", "60")
    own = engine.out("exec", "owner", "readlink", "/proc/self/ns/net")
    assert engine.out("run", "--rm", "--network", "container:owner", BASE, "readlink", "/proc/self/ns/net") == own
    host = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True).stdout.strip()
    assert engine.out("run", "--rm", "--network", "host", BASE, "readlink", "/proc/self/ns/net") == host


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--network", "nowhere"), "network nowhere not found"),
        (("--cap-add", "CAP_FLY"), 'invalid CapAdd: unknown capability: "CAP_FLY"'),
        (("--memory", "1m"), "Minimum memory limit allowed is 6MB"),
        (("--restart", "on-failure", "--rm"), "restart"),
        (("--name", "-bad"), "Invalid container name"),
        (("--security-opt", "magic=1"), "magic"),
        (("--link", "other"), "could not get container for other"),
        (("--log-driver", "gelf"), "gelf"),
        (("--runtime", "kata"), "kata"),
        (("--gpus", "all"), 'could not select device driver "" with capabilities: [[gpu]]'),
        (("--device", "/dev/nothing"), "no such file or directory"),
        (("--sysctl", "kernel.sysrq=1"), "sysctl"),
        (("--user", "ghost"), "unable to find user ghost"),
        (("-v", "relative/x:/y"), "invalid"),
        (("-v", "/a:/b:odd"), "invalid mode"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(engine: RunningEngine, flags: tuple[str, ...], sentence: str) -> None:
    if sentence == "ink" or "DeviceRequests" in sentence:
        engine.only_riad("not supported yet")
    said = engine.docker("run", *flags, BASE, "true", check=False)
    assert said.code != 0
    assert sentence in said.err


def test_an_unknown_image_is_not_found(engine: RunningEngine) -> None:
    said = engine.docker("create", "--pull", "never", "nothing:here", check=False)
    assert "No such image: nothing:here" in said.err
