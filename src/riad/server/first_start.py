"""What the first start leaves behind for the administrator: `root`, its one-time password, a token for `riad`.

Both secrets are files that only the server's own user can read: whoever can read them could read the database too.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.identity import authenticate, root, tokens
from riad.identity.model import Scope
from riad.identity.store import UserRow
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault
from riad.server.config import ServerConfig

COMMAND_TOKEN = "the riad command of this machine"  # noqa: S105 -- its name


def prepare(database: Database, config: ServerConfig, *, clock: Clock) -> None:
    """May be called at every start."""
    password_file, token_file = config.data_dir / "initial_root_password", config.data_dir / "command.token"
    with database.write() as session:
        made = root.ensure(session, password=config.root_password, token=config.root_token, clock=clock)
        if made.one_time_password is not None:
            _keep(password_file, made.one_time_password)
        elif not session.scalar(select(UserRow.must_change_password).where(UserRow.id == made.user.id)):
            password_file.unlink(missing_ok=True)
        if not _works(session, token_file, clock=clock):
            _, secret = tokens.create_personal(session, made.user.id, COMMAND_TOKEN, [Scope.API.value], clock=clock)
            _keep(token_file, secret)


def _works(session: Session, token_file: Path, *, clock: Clock) -> bool:
    try:
        authenticate.token(session, token_file.read_text().strip(), clock=clock)
    except (FileNotFoundError, Fault):
        return False
    return True


def _keep(file: Path, secret: str) -> None:
    """Written before the transaction ends: a crash in between leaves a secret that is not valid, replaced next time."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as opened:
        opened.write(secret + "\n")
    part.replace(file)
