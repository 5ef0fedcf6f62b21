"""Riad's own pages: Jinja2 templates, htmx, one stylesheet, no build step.

Each file of handlers is one group of pages: it asks the domains and renders a template, it decides nothing. Start with
`visit` (what a handler is given) and `pages` (how it is called, protected and answered); `router` lists the groups.
"""
