"""What a registry refuses, in the words of the OCI distribution specification 1.1, "Error codes"."""

from __future__ import annotations

import enum

from riad.kernel.faults import Fault, Kind


class Reason(enum.Enum):
    BLOB_UNKNOWN = "blob unknown to registry"
    BLOB_UPLOAD_INVALID = "blob upload invalid"
    BLOB_UPLOAD_UNKNOWN = "blob upload unknown to registry"
    DIGEST_INVALID = "provided digest did not match uploaded content"
    MANIFEST_BLOB_UNKNOWN = "manifest references an unknown blob"
    MANIFEST_INVALID = "manifest invalid"
    MANIFEST_UNKNOWN = "manifest unknown to registry"
    NAME_INVALID = "invalid repository name"
    NAME_UNKNOWN = "repository name not known to registry"
    RANGE_INVALID = "range out of order"
    SIZE_INVALID = "provided length did not match content length"
    TOO_LARGE = "content too large"
    IN_USE = "still referred to"
    QUOTA_EXCEEDED = "quota exceeded"
    DENIED = "requested access to the resource is denied"
    UNAUTHORIZED = "authentication required"
    UNSUPPORTED = "the operation is unsupported"


KINDS = {
    Reason.BLOB_UNKNOWN: Kind.NOT_FOUND,
    Reason.BLOB_UPLOAD_INVALID: Kind.INVALID,
    Reason.BLOB_UPLOAD_UNKNOWN: Kind.NOT_FOUND,
    Reason.DIGEST_INVALID: Kind.INVALID,
    Reason.MANIFEST_BLOB_UNKNOWN: Kind.INVALID,
    Reason.MANIFEST_INVALID: Kind.INVALID,
    Reason.MANIFEST_UNKNOWN: Kind.NOT_FOUND,
    Reason.NAME_INVALID: Kind.INVALID,
    Reason.NAME_UNKNOWN: Kind.NOT_FOUND,
    Reason.RANGE_INVALID: Kind.CONFLICT,
    Reason.SIZE_INVALID: Kind.INVALID,
    Reason.TOO_LARGE: Kind.EXHAUSTED,
    Reason.IN_USE: Kind.CONFLICT,
    Reason.QUOTA_EXCEEDED: Kind.DENIED,
    Reason.DENIED: Kind.DENIED,
    Reason.UNAUTHORIZED: Kind.UNAUTHENTICATED,
    Reason.UNSUPPORTED: Kind.UNSUPPORTED,
}


class Refusal(Fault):
    """A fault whose `reason` names the specification's error code; `detail` is for machines."""

    def __init__(self, reason: Reason, message: str, *, detail: object = None) -> None:
        super().__init__(KINDS[reason], message)
        self.reason = reason
        self.detail = detail
