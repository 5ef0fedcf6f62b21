"""What a container registry keeps and forgets: repositories, manifests, tags, uploads."""
