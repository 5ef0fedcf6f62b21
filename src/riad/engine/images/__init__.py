"""Images and layers: the local store, and pull, push, tag, remove, import and export."""
