"""Development's `script/migration NAME`: compares the tables in the code with a database at the newest migration."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from riad.kernel.db import Database
from riad.server import schema


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'riad.db'}")
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        existing = sorted(file.name[:4] for file in (schema.MIGRATIONS / "versions").glob("[0-9]*_*.py"))
        if existing:
            schema.upgrade(database)
        number = f"{int(existing[-1]) + 1 if existing else 1:04}"
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        with database.engine.connect().execution_options(riad_write=True) as connection:
            config.attributes["connection"] = connection
            command.revision(config, message=name, autogenerate=True, rev_id=number)
        database.close()


if __name__ == "__main__":
    main(sys.argv[1])
