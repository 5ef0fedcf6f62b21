"""GitLab's REST API v4."""
