"""Riad: the whole DevOps loop on one machine.

Two daemons: `riad.engine` (a container engine that speaks the Docker Engine API) and `riad.server` (forge, pipelines,
registry, deploy, web). Start reading at `riad.server.reactions`, which is the product on one page, or at
docs/life-of-a-push.md.
"""

__version__ = "0.1.0"
