from __future__ import annotations

import errno
import os
import subprocess

import pytest

from riad.engine.host import sealed


def test_a_sealed_copy_runs_and_cannot_be_written() -> None:
    path = sealed.copy("/usr/bin/env")
    assert path is not None
    assert subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    with pytest.raises(OSError) as caught:
        os.write(os.open(path, os.O_WRONLY), b"x")
    assert caught.value.errno in (errno.EPERM, errno.ETXTBSY)


def test_what_cannot_be_copied_is_run_as_it_is() -> None:
    assert sealed.copy("/nowhere/runc") is None
