"""`docker system df` and the prunes: numbers that agree with what du says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import docker
import pytest

from engine_fixture import BASE, RunningEngine

pytestmark = pytest.mark.root


def _du(*folders: Path) -> int:
    told = subprocess.run(["du", "-scx", "-B1", *folders], capture_output=True, text=True, check=True).stdout
    return int(told.splitlines()[-1].split()[0])


def _shape(engine: RunningEngine, query: str = "", version: str = "1.47") -> dict[str, object]:
    client = docker.APIClient(base_url=engine.host, version=version)
    answer = client.get(client._url(f"/system/df{query}"))
    client.close()
    found: dict[str, object] = answer.json()
    assert answer.status_code == 200, found
    return found


def _build(engine: RunningEngine, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nRUN dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null\n"
        "RUN --mount=type=cache,target=/kept dd if=/dev/zero of=/kept/file bs=1M count=2 2>/dev/null\n"
    )
    done = subprocess.run(
        ["docker", "build", "-q", "-t", "built:1", folder],
        env={**engine.environ, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_disk_usage_adds_up_to_what_du_says(engine: RunningEngine, tmp_path: Path) -> None:
    _build(engine, tmp_path / "context")
    write = "dd if=/dev/zero of=/mine bs=1M count=2; dd if=/dev/zero of=/data/file bs=1M count=1; yes | head -c 100000"
    engine.docker("run", "--name", "full", "-v", "full-data:/data", "built:1", "sh", "-c", write)
    found = json.loads(json.dumps(_shape(engine)))
    data = engine.root / "data"
    assert found["LayersSize"] == pytest.approx(_du(data / "layers", data / "blobs"), abs=16384)
    assert sum(one["SizeRw"] for one in found["Containers"]) == pytest.approx(_du(data / "containers"), abs=16384)
    volumes = {one["Name"]: one["UsageData"] for one in found["Volumes"]}
    assert volumes["full-data"]["RefCount"] == 1
    assert volumes["full-data"]["Size"] == pytest.approx(2**20, abs=8192)
    images = {one["RepoTags"][0]: one for one in found["Images"]}
    assert images["built:1"]["SharedSize"] == images[BASE]["Size"] == images[BASE]["SharedSize"]
    assert images["built:1"]["Containers"] == 1
    alone = images["built:1"]["Size"] - images["built:1"]["SharedSize"]
    assert alone + images[BASE]["Size"] == found["LayersSize"]
    kinds = {entry["Type"]: entry for entry in found["BuildCache"]}
    assert kinds["regular"]["Shared"] is True
    assert kinds["exec.cachemount"]["Size"] >= 2 * 2**20


def test_only_the_asked_types_are_measured(engine: RunningEngine) -> None:
    found = _shape(engine, "?type=volume&type=container")
    assert found["Images"] is None and found["BuildCache"] is None
    assert found["Containers"] == []
    old = _shape(engine, "?type=volume", version="1.41")
    assert old["Images"] is not None
    assert isinstance(old["BuilderSize"], int)
    client = docker.APIClient(base_url=engine.host)
    refused = client.get(client._url("/system/df?type=odd"))
    assert (refused.status_code, refused.json()) == (400, {"message": "unknown object type: odd"})
    client.close()


def test_the_cli_shows_short_and_long_tables(engine: RunningEngine, tmp_path: Path) -> None:
    _build(engine, tmp_path / "context")
    assert [line.split("  ")[0] for line in engine.out("system", "df").splitlines()] == [
        "TYPE",
        "Images",
        "Containers",
        "Local Volumes",
        "Build Cache",
    ]
    long = engine.out("system", "df", "-v")
    assert "exec.cachemount" in long and "built" in long


def test_the_build_cache_is_pruned_by_filters(engine: RunningEngine, tmp_path: Path) -> None:
    _build(engine, tmp_path / "context")
    client = docker.APIClient(base_url=engine.host)

    def prune(**query: str) -> list[str]:
        answer = client.post(client._url("/build/prune"), params=query)
        assert answer.status_code == 200, answer.text
        deleted: list[str] = answer.json()["CachesDeleted"]
        return deleted

    kinds = {entry["ID"]: entry["Type"] for entry in client.df()["BuildCache"]}
    mount = next(key for key, kind in kinds.items() if kind == "exec.cachemount")
    assert prune(filters='{"until": ["24h"]}', all="1") == []
    assert prune(filters='{"label": ["x"]}', all="1") == []
    assert prune(filters='{"type": {"exec.cachemount": true}}') == [mount]
    assert prune() == []  # what is left belongs to an image, too
    engine.docker("system", "prune", "-f", "--filter", "label=none")
    assert set(prune(all="1")) == set(kinds) - {mount}
    assert client.df()["BuildCache"] == []
    refused = client.post(client._url("/build/prune"), params={"filters": '{"type": ["a", "b"]}'})
    assert refused.status_code == 400 and "more than once" in refused.text
    client.close()


def test_prunes_tell_what_the_disk_got_back(engine: RunningEngine, tmp_path: Path) -> None:
    _build(engine, tmp_path / "context")
    engine.docker(
        "run", "--name", "full", "-v", "/data", "built:1", "dd", "if=/dev/zero", "of=/data/x", "bs=1M", "count=1"
    )
    before = _du(engine.root / "data")
    told = engine.out("system", "prune", "--all", "--volumes", "-f")
    freed = before - _du(engine.root / "data")
    amount = told.splitlines()[-1].removeprefix("Total reclaimed space: ")
    assert amount.endswith("MB")
    assert float(amount.removesuffix("MB")) * 1e6 == pytest.approx(freed, rel=0.1)
    after = _shape(engine)
    assert (after["Images"], after["Containers"], after["BuildCache"], after["LayersSize"]) == ([], [], [], 0)
