"""What a container registry keeps and forgets: repositories, blobs, manifests, tags, uploads.

Everything is stored once by digest (`store.BlobRow`) and linked per repository. Imports kernel, oci and identity.
Start with `store`, then `uploads` (how bytes come in) and `manifests` (how an image becomes visible); `garbage` takes
away what nothing refers to.
"""
