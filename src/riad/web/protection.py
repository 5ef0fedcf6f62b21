"""What keeps other people's pages and scripts out: the content security policy, form tokens, safe addresses."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from fastapi import Request

from riad.kernel.faults import denied

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FIELD = "csrf"


def form_token(secret: str) -> str:
    """What a form must carry: known only to pages made for the cookie `secret`."""
    return hmac.new(secret.encode(), b"riad form", hashlib.sha256).hexdigest()


def check_form(request: Request, form: Mapping[str, str], secret: str) -> None:
    """Raises DENIED unless the form was made by a page of ours for this visitor."""
    given = form.get(FIELD) or request.headers.get("x-csrf-token", "")
    elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if not secret or elsewhere or not hmac.compare_digest(given.encode(), form_token(secret).encode()):
        raise denied("this form is no longer good: go back, load the page again and send it once more")


def own_address(text: str) -> str:
    """`text` where it is an address below this server, else `/`: a sign-in must not lead to strangers."""
    safe = text.startswith("/") and not text.startswith(("//", "/\\")) and not any(ord(c) < 32 for c in text)
    return text if safe else "/"
