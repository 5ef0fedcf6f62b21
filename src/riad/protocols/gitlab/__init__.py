"""GitLab's REST API v4 over Riad's domains: thin, and strict about the shapes that GitLab's clients rely on.

Start with `api`: what happens between a request and a handler. Each resource has one file of handlers and one of
shapes; `routes.router(services)` collects the forge's, pipelines and environments bring their own.
"""
