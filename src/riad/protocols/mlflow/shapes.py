"""How things look on MLflow's wire (its service.proto and model_registry.proto, as JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from riad.ml.experiments import Experiment
from riad.ml.logged_models import LoggedModel
from riad.ml.models import Model, Version
from riad.ml.points import Point
from riad.ml.runs import Logged, Metric, Run

Shape = dict[str, Any]


def tags(found: Mapping[str, str]) -> list[Shape]:
    return [{"key": key, "value": value} for key, value in found.items()]


def stage(deleted: bool) -> str:
    return "deleted" if deleted else "active"


def number(value: float) -> float | str:
    return value if value == value else "NaN"


def experiment(found: Experiment, name: str) -> Shape:
    return {
        "experiment_id": str(found.id),
        "name": name,
        "artifact_location": found.artifact_location,
        "lifecycle_stage": stage(found.deleted),
        "creation_time": found.created,
        "last_update_time": found.updated,
        "tags": tags(found.tags),
    }


def run_info(found: Run) -> Shape:
    shape = {
        "run_uuid": found.uuid,
        "run_id": found.uuid,
        "run_name": found.name,
        "experiment_id": str(found.experiment_id),
        "user_id": found.user_id,
        "status": found.status,
        "start_time": found.started,
        "artifact_uri": found.artifact_uri,
        "lifecycle_stage": stage(found.deleted),
    }
    if found.ended is not None:
        shape["end_time"] = found.ended
    return shape


def metric(found: Metric) -> Shape:
    key, value, at, step = found
    return {"key": key, "value": value if value == value else "NaN", "timestamp": at, "step": step}


def run(found: Run, logged: Logged) -> Shape:
    inputs: Shape = {
        "dataset_inputs": [
            {
                "tags": tags(each.tags),
                "dataset": {
                    "name": each.name,
                    "digest": each.digest,
                    "source_type": each.source_type,
                    "source": each.source,
                    "schema": each.schema,
                    "profile": each.profile,
                },
            }
            for each in logged.datasets
        ],
        "model_inputs": [{"model_id": uuid} for kind, uuid, _ in logged.models if kind == "input"],
    }
    outputs = [{"model_id": uuid, "step": step} for kind, uuid, step in logged.models if kind == "output"]
    return {
        "info": run_info(found),
        "data": {
            "metrics": [metric(each) for each in logged.metrics],
            "params": [{"key": key, "value": value} for key, value in logged.params],
            "tags": [{"key": key, "value": value} for key, value in logged.tags],
        },
        "inputs": inputs,
        "outputs": {"model_outputs": outputs},
    }


def history(key: str, points: Iterable[Point], run_uuid: str = "") -> list[Shape]:
    whose = {"run_id": run_uuid} if run_uuid else {}
    return [
        {"key": key, "value": value if value == value else "NaN", "timestamp": at, "step": step, **whose}
        for step, at, value in points
    ]


def logged_model(found: LoggedModel) -> Shape:
    return {
        "info": {
            "model_id": found.uuid,
            "experiment_id": str(found.experiment_id),
            "name": found.name,
            "creation_timestamp_ms": found.created,
            "last_updated_timestamp_ms": found.updated,
            "artifact_uri": found.artifact_uri,
            "status": found.status,
            "model_type": found.model_type,
            "source_run_id": found.source_run,
            "status_message": found.status_message,
            "tags": tags(found.tags),
            "registrations": [],
        },
        "data": {
            "params": tags(found.params),
            "metrics": [
                {
                    "key": each.key,
                    "value": number(each.value),
                    "timestamp": each.timestamp,
                    "step": each.step,
                    "model_id": found.uuid,
                    "run_id": each.run_uuid,
                    **({"dataset_name": each.dataset_name} if each.dataset_name else {}),
                    **({"dataset_digest": each.dataset_digest} if each.dataset_digest else {}),
                }
                for each in found.metrics
            ],
        },
    }


def version(found: Version) -> Shape:
    return {
        "name": found.name,
        "version": str(found.version),
        "creation_timestamp": found.created,
        "last_updated_timestamp": found.updated,
        "user_id": found.user_id,
        "current_stage": found.stage,
        "description": found.description,
        "source": found.source,
        "run_id": found.run_uuid,
        "run_link": found.run_link,
        "status": found.status,
        "tags": tags(found.tags),
        "aliases": list(found.aliases),
        **({"model_id": found.logged_model} if found.logged_model else {}),
    }


def model(found: Model) -> Shape:
    return {
        "name": found.name,
        "creation_timestamp": found.created,
        "last_updated_timestamp": found.updated,
        "description": found.description,
        "latest_versions": [version(each) for each in found.latest],
        "tags": tags(found.tags),
        "aliases": [{"alias": alias, "version": str(number)} for alias, number in found.aliases.items()],
    }


def files(folders: Sequence[str], found: Iterable[tuple[str, int]], root: str) -> list[Shape]:
    """Paths are told from `root`, which they begin with; folders and files together by name."""
    start = len(root) + 1 if root else 0
    listed: list[Shape] = [{"path": path[start:], "is_dir": True} for path in folders]
    listed += [{"path": path[start:], "is_dir": False, "file_size": size} for path, size in found]
    return sorted(listed, key=lambda each: str(each["path"]))
