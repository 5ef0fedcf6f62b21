"""Every address of MLflow's API below `/mlflow/`, and what it does (facts: the client's service definitions)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from riad.kernel.faults import Fault, Kind, not_found
from riad.protocols.mlflow import artifacts, experiments, logged_models, models, runs
from riad.protocols.mlflow.handlers import Handler

PLAIN: Mapping[tuple[str, str], Handler] = {
    ("POST", "experiments/create"): experiments.create,
    ("GET", "experiments/get"): experiments.get,
    ("GET", "experiments/get-by-name"): experiments.get_by_name,
    ("GET", "experiments/search"): experiments.search,
    ("POST", "experiments/search"): experiments.search,
    ("POST", "experiments/update"): experiments.update,
    ("POST", "experiments/delete"): experiments.delete,
    ("POST", "experiments/restore"): experiments.restore,
    ("POST", "experiments/set-experiment-tag"): experiments.set_tag,
    ("POST", "experiments/delete-experiment-tag"): experiments.delete_tag,
    ("POST", "experiments/search-datasets"): experiments.search_datasets,
    ("POST", "runs/create"): runs.create,
    ("GET", "runs/get"): runs.get,
    ("POST", "runs/search"): runs.search,
    ("POST", "runs/update"): runs.update,
    ("POST", "runs/delete"): runs.delete,
    ("POST", "runs/restore"): runs.restore,
    ("POST", "runs/log-metric"): runs.log_metric,
    ("POST", "runs/log-parameter"): runs.log_param,
    ("POST", "runs/set-tag"): runs.set_tag,
    ("POST", "runs/delete-tag"): runs.delete_tag,
    ("POST", "runs/log-batch"): runs.log_batch,
    ("POST", "runs/log-inputs"): runs.log_inputs,
    ("POST", "runs/outputs"): runs.log_outputs,
    ("POST", "runs/log-model"): runs.log_model,
    ("GET", "metrics/get-history"): runs.history,
    ("GET", "metrics/get-history-bulk"): runs.history_bulk,
    ("GET", "metrics/get-history-bulk-interval"): runs.history_interval,
    ("GET", "artifacts/list"): artifacts.of_run,
    ("POST", "logged-models"): logged_models.create,
    ("POST", "logged-models/search"): logged_models.search,
    ("POST", "registered-models/create"): models.create,
    ("POST", "registered-models/rename"): models.rename,
    ("PATCH", "registered-models/update"): models.update,
    ("DELETE", "registered-models/delete"): models.delete,
    ("GET", "registered-models/get"): models.get,
    ("GET", "registered-models/search"): models.search,
    ("GET", "registered-models/get-latest-versions"): models.latest,
    ("POST", "registered-models/get-latest-versions"): models.latest,
    ("POST", "registered-models/set-tag"): models.set_tag,
    ("DELETE", "registered-models/delete-tag"): models.delete_tag,
    ("POST", "registered-models/alias"): models.set_alias,
    ("DELETE", "registered-models/alias"): models.delete_alias,
    ("GET", "registered-models/alias"): models.by_alias,
    ("POST", "model-versions/create"): models.create_version,
    ("PATCH", "model-versions/update"): models.update_version,
    ("POST", "model-versions/transition-stage"): models.transition,
    ("DELETE", "model-versions/delete"): models.delete_version,
    ("GET", "model-versions/get"): models.get_version,
    ("GET", "model-versions/search"): models.search_versions,
    ("GET", "model-versions/get-download-uri"): models.download_uri,
    ("POST", "model-versions/set-tag"): models.set_version_tag,
    ("DELETE", "model-versions/delete-tag"): models.delete_version_tag,
}


@dataclass(frozen=True, slots=True)
class _Named:
    """An address that names something: its groups go into the body."""

    method: str
    shape: re.Pattern[str]
    handler: Handler


_MODEL = r"logged-models/(?P<model_id>m-[0-9a-f]{32})"
_NAMED = (
    _Named("GET", re.compile(_MODEL), logged_models.get),
    _Named("PATCH", re.compile(_MODEL), logged_models.finalize),
    _Named("DELETE", re.compile(_MODEL), logged_models.delete),
    _Named("PATCH", re.compile(_MODEL + "/tags"), logged_models.set_tags),
    _Named("DELETE", re.compile(_MODEL + r"/tags/(?P<tag_key>.+)"), logged_models.delete_tag),
    _Named("POST", re.compile(_MODEL + "/params"), logged_models.log_params),
    _Named("GET", re.compile(_MODEL + "/artifacts/directories"), artifacts.of_model),
)


def find(method: str, path: str) -> tuple[Handler, Mapping[str, str]]:
    """What to do, and what the address names. Raises NOT_FOUND."""
    if (plain := PLAIN.get((method, path))) is not None:
        return plain, {}
    for named in _NAMED:
        if named.method == method and (match := named.shape.fullmatch(path)):
            return named.handler, match.groupdict()
    if path.startswith("logged-models/") and method in ("GET", "PATCH", "DELETE", "POST"):
        raise not_found(f"Logged model with ID '{path.split('/')[1]}' not found.")
    raise Fault(Kind.NOT_FOUND, f"Riad does not answer {method} /mlflow/{path}")
