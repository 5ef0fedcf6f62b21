"""Images and layers: the local store, and pull, push, tag, remove, import, save, load and commit.

A layer is a directory usable as an overlay lower directory, known by its diff ID (the digest of its uncompressed
tar) and kept once however many images have it. An image is the exact bytes of its configuration plus an ordered list
of layers. Start with `model`, then `layers` and `local`. Imports oci and the kernel; knows neither containers nor HTTP
routes.
"""
