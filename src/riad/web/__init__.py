"""Riad's own pages: Jinja2 templates, htmx, one stylesheet."""
