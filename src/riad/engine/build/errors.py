"""How a build fails: the fault names the instruction's line."""

from __future__ import annotations

from riad.kernel.faults import Fault, Kind


class CommandFailed(Fault):
    """A RUN whose command ended with `code`, in Docker's sentence."""

    def __init__(self, shown: str, code: int, *, dockerfile: str, line: int) -> None:
        super().__init__(
            Kind.INVALID, f"The command '{shown}' returned a non-zero code: {code} ({dockerfile}, line {line})"
        )
        self.code = code


def located(fault: Fault, line: int) -> Fault:
    """The fault with the line of the instruction it came from, once."""
    if isinstance(fault, CommandFailed) or fault.message.startswith("dockerfile "):
        return fault
    return Fault(fault.kind, f"dockerfile line {line}: {fault.message}", findings=fault.findings)
