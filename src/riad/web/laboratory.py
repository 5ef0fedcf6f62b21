"""Where pages about experiments and models are: a project's own (`/GROUP/NAME/-/ml`), or what is shared (`/-/ml`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Response

from riad.kernel.faults import not_found
from riad.ml.experiments import SHARED
from riad.ml.sql import Sql
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Laboratory:
    """`root` is the address that its pages begin with; `here` is None for what is shared."""

    visit: Visit
    here: Here | None
    sql: Sql

    @property
    def project_id(self) -> int:
        return self.here.project.id if self.here is not None else SHARED

    @property
    def root(self) -> str:
        return f"{self.here.root}/-/ml" if self.here is not None else "/-/ml"

    @property
    def tracking_uri(self) -> str:
        """What a client is pointed at."""
        url = self.visit.services.external_url
        return f"{url}/api/v4/projects/{self.here.project.id}/ml/mlflow" if self.here is not None else url

    def own(self, project_id: int) -> None:
        """Raises NOT_FOUND for what belongs elsewhere."""
        if project_id != self.project_id:
            raise not_found("there is no such experiment or model here")

    def render(self, template: str, tab: str, **values: object) -> Response:
        layout = "project_base.html" if self.here is not None else "ml_base.html"
        around = {"lab": self, "here": self.here, "layout": layout, "tab": tab, "section": "ml"}
        return self.visit.render(template, status=200, **around, **values)


Handler = Callable[[Laboratory], Response]


def add(pages: Pages, routes: Iterable[tuple[str, Handler]]) -> None:
    """Each page under both roots."""
    for path, handler in routes:
        pages.get("/-/ml" + path)(_shared(handler))
        pages.get("/{group}/{name}/-/ml" + path)(_of_project(handler))


def _shared(handler: Handler) -> Callable[[Visit], Response]:
    def page(visit: Visit) -> Response:
        assert visit.user
        return handler(Laboratory(visit, None, Sql(visit.session.connection())))

    return page


def _of_project(handler: Handler) -> Callable[[Visit], Response]:
    def page(visit: Visit) -> Response:
        return handler(Laboratory(visit, here(visit), Sql(visit.session.connection())))

    return page


def moment(milliseconds: int | None) -> datetime | None:
    """Milliseconds since 1970, as clients give them: nonsense is None."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
