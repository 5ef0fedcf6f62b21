"""What GitLab's objects look like: from our values to its JSON, whole (clients rely on every field), pure."""
