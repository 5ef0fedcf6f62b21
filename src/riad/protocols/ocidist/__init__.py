"""The OCI distribution API with token login."""
