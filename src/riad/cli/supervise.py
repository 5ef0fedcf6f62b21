"""The supervisor's own process: `python -m riad.cli.supervise`, told by the environment which home it serves."""

from __future__ import annotations

from riad.cli import home
from riad.cli.parts import parts_of
from riad.cli.supervisor import Supervisor


def main() -> None:
    here = home.of()
    here.run.mkdir(parents=True, exist_ok=True)
    about = {"port": here.port, "url": here.external_url}
    Supervisor(parts_of(here), here.supervision, about=about).run()


if __name__ == "__main__":
    main()
