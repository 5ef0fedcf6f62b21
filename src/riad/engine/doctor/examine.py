"""The whole examination. Changes nothing that stays: what is tried for real is made apart and taken away again."""

from __future__ import annotations

import os
from pathlib import Path

from riad.engine.doctor import control, disk, kernel, limits, network, programs
from riad.engine.doctor.findings import Finding, note


def examine(data_root: Path) -> list[Finding]:
    """Everything about the host and the folder of the engine's data, which need not exist yet."""
    findings = [*kernel.findings(), *control.findings(), *programs.findings(), *disk.findings(data_root)]
    if os.geteuid() == 0:
        findings += [*disk.trials(data_root), *network.trials()]
    else:
        findings.append(
            note("trials", "not made: they need root", "run `sudo riad engine doctor` to have mounts and links tried")
        )
    return [*findings, *network.findings(), *limits.findings()]
