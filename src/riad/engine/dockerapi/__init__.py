"""The Docker Engine API: one file of routes per resource, wire shapes, errors, streams. Decides nothing. Start with `app`."""
