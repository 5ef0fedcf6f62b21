"""git over HTTP: the smart protocol (gitprotocol-http(5)), versions 0 to 2, spoken by the git program itself.

Imports forge, identity and the kernel. Start with `routes`; `receive` is where a push is kept from being lost.
"""

from riad.protocols.git.routes import router
from riad.protocols.git.services import Services

__all__ = ["Services", "router"]
