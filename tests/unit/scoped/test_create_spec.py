from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riad.dockerclient.scoped.create_spec import check
from riad.dockerclient.scoped.scope import Scope
from riad.kernel.faults import Fault, Kind

SHOP = Scope("localhost:8080", "demo/shop", 7)


def host(**settings: Any) -> dict[str, Any]:
    return {"Image": "python:3.11", "HostConfig": settings}


def test_a_plain_container_gets_the_projects_labels() -> None:
    document, needs = check({"Image": "python:3.11", "Cmd": ["true"], "Labels": {"a": "b"}}, SHOP)
    assert document["Labels"] == {
        "a": "b",
        "riad.project": "demo/shop",
        "riad.scoped": "demo/shop",
        "riad.scoped.job": "7",
    }
    assert document["Cmd"] == ["true"]
    assert not needs.networks | needs.volumes | needs.containers


def test_what_the_docker_command_sends_by_itself_passes() -> None:
    """The document of `docker run --rm python:3.11 true`, CLI 28.2."""
    document, _ = check(
        {
            "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": True, "Tty": False,
            "AttachStderr": True, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": ["true"],
            "Image": "python:3.11", "Volumes": {}, "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": {},
            "HostConfig": {
                "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}}, "NetworkMode": "default",
                "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": True,
                "VolumeDriver": "", "VolumesFrom": None, "ConsoleSize": [24, 80], "CapAdd": None, "CapDrop": None,
                "CgroupnsMode": "", "Dns": [], "DnsOptions": [], "DnsSearch": [], "ExtraHosts": None, "GroupAdd": None,
                "IpcMode": "", "Cgroup": "", "Links": None, "OomScoreAdj": 0, "PidMode": "", "Privileged": False,
                "PublishAllPorts": False, "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "",
                "ShmSize": 0, "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0, "CgroupParent": "",
                "BlkioWeight": 0, "BlkioWeightDevice": [], "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [],
                "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "CpusetCpus": "",
                "CpusetMems": "", "Devices": [], "DeviceCgroupRules": None, "DeviceRequests": None,
                "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": -1, "OomKillDisable": False,
                "PidsLimit": 0, "Ulimits": [], "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0,
                "IOMaximumBandwidth": 0, "MaskedPaths": None, "ReadonlyPaths": None,
            },
            "NetworkingConfig": {"EndpointsConfig": {"default": {
                "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None,
                "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0,
                "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": None,
            }}},
        },
        SHOP,
    )  # fmt: skip
    assert document["HostConfig"]["AutoRemove"] is True


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("Privileged", {"Privileged": True}),
    ("Privileged", {"Privileged": 1}),
    ("Privileged", {"Privileged": "true"}),
    ("host's files", {"Binds": ["/:/host"]}),
    ("host's files", {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}),
    ("host's files", {"Binds": ["../x:/y"]}),
    ("host's files", {"Binds": [".:/y"]}),
    ("host's files", {"Binds": ["/etc"]}),
    ("host's files", {"Binds": ["a/../../etc:/y"]}),
    ("host's files", {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]}),
    ("host's files", {"Mounts": [{"Type": "BIND", "Source": "/", "Target": "/host"}]}),
    ("host's files", {"Mounts": [{"Source": "/", "Target": "/host"}]}),
    ("host's files", {"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/host"}]}),
    ("host's files", {"Mounts": [{"Type": "image", "Source": "x", "Target": "/host"}]}),
    ("host's files", {"Mounts": [{"Type": "volume", "Source": "/etc", "Target": "/host"}]}),
    (
        "BindOptions",
        {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/h", "BindOptions": {"Propagation": "x"}}]},
    ),
    (
        "DriverConfig",
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/host",
                    "VolumeOptions": {
                        "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}
                    },
                }
            ]
        },
    ),
    ("NetworkMode", {"NetworkMode": "host"}),
    ("NetworkMode", {"NetworkMode": "container:riad-shop-r1"}),
    ("NetworkMode", {"NetworkMode": "ns:/proc/1/ns/net"}),
    ("PidMode", {"PidMode": "host"}),
    ("PidMode", {"PidMode": "container:x"}),
    ("IpcMode", {"IpcMode": "host"}),
    ("IpcMode", {"IpcMode": "container:x"}),
    ("UTSMode", {"UTSMode": "host"}),
    ("UsernsMode", {"UsernsMode": "host"}),
    ("CgroupnsMode", {"CgroupnsMode": "host"}),
    ("CgroupParent", {"CgroupParent": "/"}),
    ("Devices", {"Devices": [{"PathOnHost": "/dev/sda"}]}),
    ("DeviceCgroupRules", {"DeviceCgroupRules": ["b *:* rwm"]}),
    ("DeviceRequests", {"DeviceRequests": [{"Count": -1}]}),
    ("SYS_ADMIN", {"CapAdd": ["SYS_ADMIN"]}),
    ("cap_sys_admin", {"CapAdd": ["cap_sys_admin"]}),
    ("ALL", {"CapAdd": ["ALL"]}),
    ("seccomp", {"SecurityOpt": ["seccomp=unconfined"]}),
    ("apparmor", {"SecurityOpt": ["apparmor:unconfined"]}),
    ("label", {"SecurityOpt": ["label=disable"]}),
    ("no-new-privileges:false", {"SecurityOpt": ["no-new-privileges:false"]}),
    ("systempaths", {"SecurityOpt": ["systempaths=unconfined"]}),
    ("/proc and /sys", {"MaskedPaths": []}),
    ("/proc and /sys", {"ReadonlyPaths": []}),
    ("host's port", {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}),
    ("host's address", {"PortBindings": {"80/tcp": [{"HostIp": "10.0.0.1", "HostPort": ""}]}}),
    ("restart policy", {"RestartPolicy": {"Name": "always"}}),
    ("log", {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "tcp://10.0.0.1"}}}),
    ("Runtime", {"Runtime": "sysbox"}),
    ("VolumeDriver", {"VolumeDriver": "nfs"}),
    ("memory runs out", {"OomScoreAdj": -1000}),
    ("OomKillDisable", {"OomKillDisable": True}),
    ("kernel.core_pattern", {"Sysctls": {"kernel.core_pattern": "|/x"}}),
    ("Links", {"Links": ["riad-shop-r1:web"]}),
    ("StorageOpt", {"StorageOpt": {"size": "1"}}),
    ("Annotations", {"Annotations": {"run.oci.keep_original_groups": "1"}}),
    ("privileged", {"privileged": True}),
    ("binds", {"binds": ["/:/host"]}),
    ("FutureOption", {"FutureOption": {"x": 1}}),
    ("BlkioDeviceReadBps", {"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]}),
]


@pytest.mark.parametrize(("named", "settings"), REFUSED, ids=[f"{i}-{name}" for i, (name, _) in enumerate(REFUSED)])
def test_what_reaches_beyond_the_container_is_refused_by_name(named: str, settings: dict[str, Any]) -> None:
    with pytest.raises(Fault) as caught:
        check(host(**settings), SHOP)
    assert caught.value.kind in (Kind.DENIED, Kind.INVALID)
    assert named in caught.value.message


@pytest.mark.parametrize(
    "document",
    [
        {"Image": "x", "hostconfig": {"Privileged": True}},
        {"Image": "x", "Labels": {"riad.scoped": "other/x"}},
        {"Image": "x", "Labels": ["riad.scoped=other/x"]},
        {"Image": "x", "HostConfig": "x"},
        {"Image": "x", "NetworkingConfig": {"EndpointsConfig": {"host": {}}}},
        {"Image": "x", "NetworkingConfig": {"EndpointsConfig": {"n": {"DriverOpts": {"a": "b"}}}}},
        {"Image": ""},
        {},
        [],
        "x",
    ],
)
def test_a_document_of_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(Fault):
        check(document, SHOP)


def test_what_has_to_be_the_projects_is_named() -> None:
    document, needs = check(
        {
            "Image": "x",
            "HostConfig": {
                "Binds": ["cache:/cache:ro"],
                "Mounts": [{"Type": "volume", "Source": "data", "Target": "/d"}, {"Type": "tmpfs", "Target": "/t"}],
                "VolumesFrom": ["other:ro"],
                "NetworkMode": "mine",
            },
            "NetworkingConfig": {"EndpointsConfig": {"mine": {"Aliases": ["web"]}, "second": {}}},
        },
        SHOP,
    )
    assert needs.volumes == {"cache", "data"}
    assert needs.networks == {"mine", "second"}
    assert needs.containers == {"other"}
    assert document["HostConfig"]["Binds"] == ["cache:/cache:ro"]


def test_a_port_of_the_engines_choice_and_a_network_of_its_own_are_fine() -> None:
    document, _ = check(host(PortBindings={"80/tcp": [{"HostIp": "", "HostPort": "0"}]}, PublishAllPorts=True), SHOP)
    assert document["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": ""}]}
    assert check(host(CapAdd=["NET_BIND_SERVICE"], SecurityOpt=["no-new-privileges"], CapDrop=["ALL"]), SHOP)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["Image", "HostConfig", "Labels", "NetworkingConfig", "Volumes"]), JSON))
def test_any_document_is_passed_or_refused(document: dict[str, Any]) -> None:
    try:
        passed, _ = check(document, SHOP)
    except Fault:
        return
    assert passed["Labels"]["riad.scoped"] == "demo/shop"
    assert not (passed.get("HostConfig") or {}).get("Privileged")


@example({"PortBindings": {"80/tcp": 1}})
@example({"Mounts": 1})
@given(st.dictionaries(st.sampled_from(sorted({key for _, s in REFUSED for key in s})), JSON, max_size=3))
def test_any_host_settings_are_passed_or_refused(settings: dict[str, Any]) -> None:
    try:
        passed, _ = check(host(**settings), SHOP)
    except Fault:
        return
    assert not passed["HostConfig"].get("Privileged")
    assert all(not bind.startswith(("/", ".")) for bind in passed["HostConfig"].get("Binds") or [])
