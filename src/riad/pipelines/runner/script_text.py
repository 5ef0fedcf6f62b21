"""The shell text of a job. Pure; the golden cases are in the tests.

Commands of a job run one after the other in one shell, so that `cd` and variables last; the first failing one ends the
job with its own exit code (`set -eo pipefail`, as far as the shell has it). Each is shown before it runs, as GitLab
does: bold green `$ command`, of a longer one the first line. Commands are never rewritten, only what shows them is
quoted. The text is a file, not standard input, so a command that reads its input cannot eat the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

FOLDER = "/riad"
RUN = f"{FOLDER}/run"

LAUNCH = "exec 2>&1 </dev/null; if command -v bash >/dev/null 2>&1; then bash /riad/run; else sh /riad/run; fi; exit $?"
"""What the container runs: the file at RUN, by bash where there is one. The shell stays in front of it, so that the
script is not process 1 and signals end it as they end anything else."""

_GREEN = "\x1b[32;1m"
_PLAIN = "\x1b[0;m"
_OPENING = """set -e
if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi
"""


def main_script(commands: Sequence[str], *, folder: str) -> str:
    """before_script and script."""
    return _OPENING + _enter(folder) + "".join(map(_command, commands))


def after_script(commands: Sequence[str], *, folder: str, job_status: str) -> str:
    """Its own shell; `job_status` is success, failed or canceled, for CI_JOB_STATUS."""
    status = f"CI_JOB_STATUS={quoted(job_status)}\nexport CI_JOB_STATUS\n"
    return _OPENING + status + _enter(folder) + "".join(map(_command, commands))


def _enter(folder: str) -> str:
    return f"cd {quoted(folder)}\n"


def _command(command: str) -> str:
    lines = command.strip("\n").split("\n")
    shown = lines[0] if len(lines) == 1 else f"{lines[0]} # collapsed multi-line command"
    return f"printf '%s\\n' {quoted(f'{_GREEN}$ {shown}{_PLAIN}')}\n{command}\n"


def quoted(text: str) -> str:
    """One word of the shell, whatever it holds."""
    return "'" + text.replace("'", "'\\''") + "'"
