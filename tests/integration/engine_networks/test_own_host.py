"""The host's own firewall, dockerd's, and routes that come later: on hosts that are only network namespaces."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

CASES = Path(__file__).with_name("own_host.py")
NAMES = re.findall(r"^async def (test_\w+)", CASES.read_text(), re.MULTILINE)

_ALONE = (
    *("-p", "no:xdist", "-p", "no:cacheprovider", "-W", "error"),
    *("-o", "addopts=--import-mode=importlib", "-o", "python_files=own_host.py"),
)


@pytest.mark.parametrize("name", NAMES)
def test_on_a_host_of_its_own(name: str, tmp_path: Path) -> None:
    if "dockerd" in name and shutil.which("iptables") is None:
        pytest.skip("needs iptables")
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [
            "unshare",
            "--net",
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *_ALONE,
            "--basetemp",
            str(tmp_path / "t"),
            f"{CASES}::{name}",
        ],
        capture_output=True,
        text=True,
        env=plain,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
