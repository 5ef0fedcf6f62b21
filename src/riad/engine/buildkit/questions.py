"""What a client asks about a Dockerfile instead of building it: findings, parameters, targets (`--check`, `--call`).

The answers are documents under names that clients know (frontend/subrequests).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from riad.dockerfile.instructions import Arg, Instruction, Run
from riad.dockerfile.lint import LintFinding
from riad.dockerfile.parse import Dockerfile, parse
from riad.dockerfile.references import global_values
from riad.dockerfile.words import expand
from riad.engine.build.contexts import Definition
from riad.engine.build.plan import plan
from riad.kernel.faults import unsupported

Answer = dict[str, bytes]
QUESTIONS = ("frontend.lint", "frontend.outline", "frontend.targets", "frontend.subrequests.describe")


def answer(
    question: str, definition: Definition, found: list[LintFinding], args: Mapping[str, str | None], target: str
) -> Answer:
    """Raises UNSUPPORTED for a question that is not known."""
    if question == "frontend.lint":
        return _lint(definition, found)
    if question == "frontend.outline":
        return _outline(definition, args, target)
    if question == "frontend.targets":
        return _targets(definition)
    if question == "frontend.subrequests.describe":
        return _described()
    raise unsupported(f"--call {question.removeprefix('frontend.')} is not supported: check, outline and targets are")


def _lint(definition: Definition, found: list[LintFinding]) -> Answer:
    warnings = [
        {
            "ruleName": finding.rule.name,
            "description": finding.rule.description,
            "url": finding.rule.url,
            "detail": finding.detail,
            "location": _location(finding.line, finding.end_line),
        }
        for finding in found
    ]
    data = base64.b64encode(definition.content).decode()
    sources = [{"fileName": definition.name, "language": "Dockerfile", "data": data}]
    return _document({"warnings": warnings, "sources": sources}, _told(definition, found), code=bool(found))


def _told(definition: Definition, found: list[LintFinding]) -> str:
    if not found:
        return "Check complete, no warnings found.\n"
    lines = definition.content.decode(errors="replace").split("\n")
    out = []
    for finding in found:
        out += [
            f"WARNING: {finding.rule.name} - {finding.rule.url}",
            finding.detail,
            f"{definition.name}:{finding.line}",
        ]
        first, last = max(finding.line - 2, 1), min(finding.end_line + 2, len(lines))
        out.append("-" * 20)
        for number in range(first, last + 1):
            mark = ">>>" if finding.line <= number <= finding.end_line else "   "
            out.append(f" {number:3} | {mark} {lines[number - 1]}")
        out += ["-" * 20, ""]
    return "\n".join(out)


def _outline(definition: Definition, args: Mapping[str, str | None], target: str) -> Answer:
    dockerfile = parse(definition.content)
    planned = plan(dockerfile, args, target=target, platform="linux/amd64")
    chosen = planned.stages[-1].stage
    values = global_values(dockerfile, args)
    needed = [i for stage in planned.stages for i in stage.stage.instructions]
    found = _arguments(dockerfile, needed, values, args)
    mounts = [(mount, i) for i in needed if isinstance(i, Run) for mount in i.mounts]
    secrets: dict[str, dict[str, Any]] = {}
    agents: dict[str, dict[str, Any]] = {}
    caches: dict[str, dict[str, Any]] = {}
    for mount, at in mounts:
        where = _location(at.line, at.end_line)
        required = mount.options.get("required", "false").lower() not in ("false", "0")
        if mount.kind == "secret":
            name = mount.options.get("id") or mount.options.get("target", "").rpartition("/")[2]
            secrets[name] = {"name": name, "required": required, "location": where}
        elif mount.kind == "ssh":
            name = mount.options.get("id", "default")
            agents[name] = {"name": name, "required": required, "location": where}
        elif mount.kind == "cache":
            name = mount.options.get("id", mount.options.get("target", ""))
            caches[name] = {"ID": name, "location": where}
    document: dict[str, Any] = {
        "name": chosen.name or "",
        "args": found,
        "secrets": list(secrets.values()),
        "ssh": list(agents.values()),
        "cache": list(caches.values()),
        "sources": [base64.b64encode(definition.content).decode()],
    }
    lines = [f"TARGET:      {chosen.name or 'default'}", ""]
    if found:
        rows = [("BUILD ARG", "VALUE", "DESCRIPTION"), *((a["name"], a["value"], a["description"]) for a in found)]
        lines += [*_table(rows), ""]
    if secrets:
        rows2 = [("SECRET", "REQUIRED"), *((s["name"], str(s["required"]).lower()) for s in secrets.values())]
        lines += [*_table(rows2), ""]
    if agents:
        rows2 = [("SSH", "REQUIRED"), *((s["name"], str(s["required"]).lower()) for s in agents.values())]
        lines += [*_table(rows2), ""]
    return _document(document, "\n".join(lines) + "\n")


def _arguments(
    dockerfile: Dockerfile, needed: list[Instruction], values: Mapping[str, str], args: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """The ARGs that matter to the target, each with the value it would have."""
    found: dict[str, dict[str, Any]] = {}
    for arg in (*dockerfile.global_args, *(i for i in needed if isinstance(i, Arg))):
        for name, default in arg.args:
            given = args.get(name)
            value = given if given is not None else values.get(name, default or "")
            if given is None and default is not None:
                value = expand(default, dict(values), escape=dockerfile.escape)
            if name not in found or default is not None:
                where = _location(arg.line, arg.end_line)
                found[name] = {"name": name, "description": "", "value": value, "location": where}
    return list(found.values())


def _targets(definition: Definition) -> Answer:
    dockerfile = parse(definition.content)
    last = dockerfile.stages[-1].index
    targets = [
        {
            "name": stage.name or "",
            "default": stage.index == last,
            "description": "",
            "base": stage.base.image,
            "platform": stage.base.platform or "",
            "location": _location(stage.base.line, stage.base.end_line),
        }
        for stage in dockerfile.stages
    ]
    rows = [("TARGET", "DESCRIPTION")]
    rows += [(f"{t['name'] or '(unnamed)'}{' (default)' if t['default'] else ''}", "") for t in targets]
    sources = [base64.b64encode(definition.content).decode()]
    return _document({"targets": targets, "sources": sources}, "\n".join(_table(rows)) + "\n")


def _described() -> Answer:
    described = [
        {"name": name, "version": "1.0.0", "type": "rpc", "metadata": [{"name": "result.json"}, {"name": "result.txt"}]}
        for name in QUESTIONS
    ]
    return _document(described, "\n".join(QUESTIONS) + "\n")


def _document(value: Any, text: str, *, code: bool = False) -> Answer:
    return {
        "result.json": json.dumps(value, indent=2).encode(),
        "result.txt": text.encode(),
        "result.statuscode": b"1" if code else b"0",
        "version": b"1.0.0",
    }


def _location(first: int, last: int) -> dict[str, Any]:
    return {"ranges": [{"start": {"line": first}, "end": {"line": last}}]}


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
