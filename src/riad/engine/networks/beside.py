"""Living beside dockerd, which drops everything that is forwarded and that it does not know.

dockerd sets the policy of iptables' FORWARD chain to drop; there an accept in our own table is of no use. It keeps the
chain DOCKER-USER for rules of others, calls it first, and never changes it itself. So our accepts go to its end: what
an administrator has put there comes before and wins. They name our bridges and carry our mark; nothing else of
dockerd's or the host's is touched, and they go when we go.

Where the administrator's own rules stand in FORWARD, too (ufw, firewalld), only what our containers begin, and the
answers to it, is accepted: whether the world reaches published ports stays those rules' to say.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from riad.kernel import logs

_log = logs.named("engine.networks")
_CHAIN = "DOCKER-USER"


@dataclass(frozen=True, slots=True)
class Beside:
    """`mark` is the comment of our rules. Blocking; a program that is missing or fails is no error."""

    mark: str

    def refresh(self, bridges: Iterable[str]) -> bool:
        """Makes our rules in DOCKER-USER exactly those for `bridges`; False where there is no such chain."""
        wanted, found = tuple(sorted(bridges)), False
        for program in ("iptables", "ip6tables"):
            listed = _run(program, "-S")
            if listed is None or f"-N {_CHAIN}" not in listed:
                continue
            found = True
            chain = [line for line in listed.splitlines() if line.startswith(f"-A {_CHAIN} ")]
            rules = planned(wanted, self.mark, strict=others_rule(listed.splitlines()))
            if [line.split()[2:] for line in chain if self.mark in line.split()] == [list(rule) for rule in rules]:
                continue
            self._remove(program, chain)
            at = len([line for line in chain if self.mark not in line.split()]) + 1
            at -= 1 if chain and chain[-1] == f"-A {_CHAIN} -j RETURN" else 0
            for number, rule in enumerate(rules):
                _run(program, "-I", _CHAIN, str(at + number), *rule)
        return found

    def leave(self) -> None:
        """Takes our rules away."""
        self.refresh(())

    def _remove(self, program: str, chain: Sequence[str]) -> None:
        for line in chain:
            words = line.split()
            if self.mark in words:
                _run(program, "-D", *words[1:])


def planned(bridges: Sequence[str], mark: str, *, strict: bool) -> list[tuple[str, ...]]:
    """The rules as `iptables -S` writes them, after the chain's name. Pure."""
    marked = ("-m", "comment", "--comment", mark, "-j", "ACCEPT")
    found: list[tuple[str, ...]] = []
    for bridge in bridges:
        found.append(("-i", bridge, *marked))
        answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED") if strict else ()
        found.append(("-o", bridge, *answers, *marked))
    return found


def others_rule(lines: Iterable[str]) -> bool:
    """Whether somebody but dockerd has rules in FORWARD. Pure."""
    for line in lines:
        words = line.split()
        if words[:2] == ["-A", "FORWARD"] and not any(word.startswith(("DOCKER", "docker", "br-")) for word in words):
            return True
    return False


def _run(program: str, *arguments: str) -> str | None:
    if shutil.which(program) is None:
        return None
    done = subprocess.run([program, "-w", "5", *arguments], capture_output=True, timeout=30, check=False)
    if done.returncode != 0:
        _log.warning(
            "iptables refused",
            extra=logs.fields(command=" ".join(arguments), said=done.stderr.decode(errors="replace").strip()[:200]),
        )
        return None
    return done.stdout.decode(errors="replace")
