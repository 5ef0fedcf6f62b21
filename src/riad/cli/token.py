"""`riad token`: personal access tokens."""

from __future__ import annotations

import click

from riad.cli.api import connect
from riad.cli.main import print_json


@click.group()
def token() -> None:
    """Create, list and revoke access tokens."""


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("api",), show_default=True, help="Repeatable.")
@click.option("--user", help="For another user (administrators only).")
@click.option("--expires", metavar="YYYY-MM-DD", help="The day it ends; without it, it does not end.")
@click.option("--json", "as_json", is_flag=True)
def create(name: str, *, scopes: tuple[str, ...], user: str | None, expires: str | None, as_json: bool) -> None:
    """Create a token called NAME and print its secret, once."""
    api = connect()
    found = api.get("/api/v4/users", username=user) if user else [api.get("/api/v4/user")]
    if not found:
        raise click.ClickException(f"there is no user {user!r}")
    body = {"name": name, "scopes": list(scopes), **({"expires_at": expires} if expires else {})}
    made = api.post(f"/api/v4/users/{found[0]['id']}/personal_access_tokens", body)
    if as_json:
        print_json(made)
    else:
        click.echo(made["token"])


@token.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_tokens(*, as_json: bool) -> None:
    """List tokens (their secrets are not kept)."""
    found = list(connect().all("/api/v4/personal_access_tokens"))
    if as_json:
        print_json(found)
        return
    for entry in found:
        state = "active" if entry["active"] else "revoked" if entry["revoked"] else "expired"
        click.echo(f"{entry['id']:>6}  {entry['name']:30} {state:8} {','.join(entry['scopes'])}")


@token.command()
@click.argument("number", type=int)
def revoke(number: int) -> None:
    """Revoke the token with this number (see `riad token list`)."""
    connect().delete(f"/api/v4/personal_access_tokens/{number}")
    click.echo(f"Revoked token {number}")
