from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riad.pipelines.runner.script_text import after_script, main_script, quoted

SHELLS = ["sh", "bash"]


def run(shell: str, text: str, folder: Path) -> tuple[int, str]:
    file = folder / "run"
    file.write_text(text)
    done = subprocess.run(
        [shell, file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=10,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def test_the_text_of_a_script_is_golden(tmp_path):
    assert main_script(["echo it's", "if x; then\n  y\nfi"], folder="/builds/a/b") == (
        "set -e\n"
        "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi\n"
        "cd '/builds/a/b'\n"
        "printf '%s\\n' '\x1b[32;1m$ echo it'\\''s\x1b[0;m'\n"
        "echo it's\n"
        "printf '%s\\n' '\x1b[32;1m$ if x; then # collapsed multi-line command\x1b[0;m'\n"
        "if x; then\n  y\nfi\n"
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_share_one_shell_and_the_first_failure_ends_with_its_code(shell, tmp_path):
    text = main_script(["A=kept; cd /", 'echo "$A $PWD"', "(exit 42)", "echo never"], folder=str(tmp_path))
    code, said = run(shell, text, tmp_path)
    assert code == 42
    assert "kept /\n" in said
    assert "\nnever" not in said


@pytest.mark.parametrize("shell", SHELLS)
def test_a_failure_inside_a_multi_line_command_counts(shell, tmp_path):
    code, said = run(shell, main_script(["echo a\nfalse\necho b"], folder=str(tmp_path)), tmp_path)
    assert code == 1
    assert "\nb\n" not in said


def test_a_failing_pipe_counts_where_the_shell_can_tell(tmp_path):
    code, _ = run("bash", main_script(["false | cat"], folder=str(tmp_path)), tmp_path)
    assert code == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_that_reads_its_input_cannot_eat_the_rest(shell, tmp_path):
    code, said = run(shell, main_script(["cat", "echo still here"], folder=str(tmp_path)), tmp_path)
    assert code == 0
    assert "\nstill here\n" in said


@pytest.mark.parametrize("shell", SHELLS)
def test_after_script_knows_how_the_job_went(shell, tmp_path):
    text = after_script(["echo it was $CI_JOB_STATUS"], folder=str(tmp_path), job_status="failed")
    assert "it was failed\n" in run(shell, text, tmp_path)[1]


WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)


@settings(max_examples=25)
@given(WORDS)
def test_quoting_is_safe_for_whatever_a_text_holds(text):
    done = subprocess.run(["sh", "-c", f"printf %s {quoted(text)}"], stdout=subprocess.PIPE, check=True)
    assert done.stdout == text.encode()
