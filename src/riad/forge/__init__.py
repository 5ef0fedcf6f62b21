"""Projects and their git repositories."""
