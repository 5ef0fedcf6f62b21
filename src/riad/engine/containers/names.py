"""Names and identifiers of containers: the rule, and inventing them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container as Holder

from riad.kernel.faults import invalid

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_MANNERS = (
    "airy amber apt bold brave bright brisk calm candid clear clever cosy crisp deft eager early fair fleet fond fresh "
    "gentle glad golden grand hardy honest humble jolly keen kind lively lucid merry mild neat noble patient placid "
    "plucky polite proud quick quiet ready serene sharp silent snug steady sunny sweet swift tidy warm wise witty"
)
_PLACES = (
    "agdal alcove arch atlas balcony basin bazaar cedar cistern column cornice court courtyard cypress dome doorway "
    "essaouira fez fountain gallery garden gate hearth iwan jasmine kasbah lantern lattice marble medina mosaic mortar "
    "orange orchard patio pavilion pillar portico quarter rabat riad saffron salon souk spring stair stucco tadelakt "
    "terrace threshold tile tower vault veranda well zellige"
)


def check_name(name: str) -> str:
    """The name without the leading slash that some clients send. Raises INVALID with Docker's sentence."""
    bare = name.removeprefix("/")
    if not _NAME.fullmatch(bare):
        raise invalid(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            if bare
            else "Invalid container name: it is empty"
        )
    return bare


def new_id() -> str:
    return secrets.token_hex(32)


def invent_name(taken: Holder[str]) -> str:
    """A free name of two words, as people like to remember them."""
    manners, places = _MANNERS.split(), _PLACES.split()
    while True:
        name = f"{secrets.choice(manners)}_{secrets.choice(places)}"
        if name not in taken:
            return name
        if (numbered := f"{name}{secrets.randbelow(10_000)}") not in taken:
            return numbered
