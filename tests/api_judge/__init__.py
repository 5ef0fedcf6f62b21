"""Judges every answer of an engine by Docker's published description: start reading in `proxy`."""
