"""Environments, releases, roll-outs and roll-backs, and the edge they switch. Start with `model`."""
