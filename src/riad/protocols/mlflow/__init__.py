"""MLflow's REST API: experiments, runs, models and artifacts, for the stock client."""

from riad.protocols.mlflow.router import router
from riad.protocols.mlflow.services import Services

__all__ = ["Services", "router"]
