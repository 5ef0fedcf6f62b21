"""The Docker Engine API: one file of routes per resource, wire shapes, errors, streams. Start with `app`."""
