"""The OCI distribution API 1.1 with Docker's token login: what `docker`, `podman` and `skopeo` push to and pull from.

Handlers authenticate, parse, call one verb of `riad.registry` and render. `router` lists the routes.
"""
