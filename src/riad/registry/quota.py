"""How much a project keeps, and whether it may keep more."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from riad.registry.faults import Reason, Refusal
from riad.registry.store import BlobRow, LinkRow, PolicyRow, RepositoryRow


def usage(session: Session, project_id: int) -> int:
    """The bytes of what a project's repositories hold, each blob counted once."""
    digests = (
        select(LinkRow.digest)
        .join(RepositoryRow, RepositoryRow.id == LinkRow.repository_id)
        .where(RepositoryRow.project_id == project_id)
        .distinct()
    )
    return int(session.scalar(select(func.coalesce(func.sum(BlobRow.size), 0)).where(BlobRow.digest.in_(digests))) or 0)


def usage_of_repository(session: Session, repository_id: int) -> int:
    """The bytes of what a repository holds."""
    digests = select(LinkRow.digest).where(LinkRow.repository_id == repository_id)
    return int(session.scalar(select(func.coalesce(func.sum(BlobRow.size), 0)).where(BlobRow.digest.in_(digests))) or 0)


def require_room(session: Session, project_id: int, more: int) -> None:
    """Raises QUOTA_EXCEEDED where a project may not keep so many more bytes."""
    row = session.get(PolicyRow, project_id)
    if row is None or row.quota is None:
        return
    quota = row.quota
    used = usage(session, project_id)
    if used + more > quota:
        raise Refusal(
            Reason.QUOTA_EXCEEDED,
            f"quota exceeded: the project's images have {_bytes(used)} of {_bytes(quota)}, and this needs "
            f"{_bytes(more)} more; delete tags, or ask a maintainer for a larger quota",
            detail={"used": used, "quota": quota, "needed": more},
        )


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"
