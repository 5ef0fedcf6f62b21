"""A client of image registries (OCI distribution-spec 1.1): where to ask, how to sign in, what to fetch and send."""
