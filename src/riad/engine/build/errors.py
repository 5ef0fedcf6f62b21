"""How a build fails: the fault names the instruction's lines."""

from __future__ import annotations

from riad.kernel.faults import Fault, Kind


class CommandFailed(Fault):
    """A RUN whose command ended with `code`, in the classic builder's sentence; `bare` is BuildKit's."""

    def __init__(self, shown: str, code: int, *, dockerfile: str, line: int) -> None:
        super().__init__(
            Kind.INVALID, f"The command '{shown}' returned a non-zero code: {code} ({dockerfile}, line {line})"
        )
        self.code = code
        self.bare = f'process "{shown}" did not complete successfully: exit code: {code}'
        self.line = line


class StepFault(Fault):
    """A step's failure with the lines of its instruction; `bare` is the message without them."""

    def __init__(self, fault: Fault, line: int, end_line: int) -> None:
        super().__init__(fault.kind, f"dockerfile line {line}: {fault.message}", findings=fault.findings)
        self.bare = fault.message
        self.line = line
        self.end_line = end_line


def located(fault: Fault, line: int, end_line: int = 0) -> Fault:
    """The fault with the lines of the instruction it came from, once."""
    if isinstance(fault, (CommandFailed, StepFault)):
        return fault
    if fault.message.startswith("dockerfile line "):
        found = StepFault(Fault(fault.kind, fault.message.partition(": ")[2]), line, end_line or line)
        found.message = fault.message
        return found
    return fault if fault.message.startswith("dockerfile ") else StepFault(fault, line, end_line or line)


def lines_of(fault: Fault) -> tuple[int, int] | None:
    """The Dockerfile's lines that a fault is about, from 1; None where it is about none."""
    if isinstance(fault, StepFault):
        return fault.line, fault.end_line
    if isinstance(fault, CommandFailed):
        return fault.line, fault.line
    line = next((finding.line for finding in fault.findings if finding.line), None)
    return (line, line) if line is not None else None
