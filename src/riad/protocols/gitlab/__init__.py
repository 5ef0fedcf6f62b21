"""GitLab's REST API v4 over Riad's domains: thin, and strict about the shapes that GitLab's clients rely on.

Start with `api`: what happens between a request and a handler. Each resource has a file of handlers; what its objects
look like is in `shapes`. `router` collects the forge's resources; pipelines and environments bring their own.
"""

from riad.protocols.gitlab.routes import fallback, router
from riad.protocols.gitlab.services import Services

__all__ = ["Services", "fallback", "router"]
