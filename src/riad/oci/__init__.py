"""The OCI specifications as values: references, digests, descriptors, manifests, image configuration, whiteouts.
Pure; imports only the kernel. Start with `reference`.
"""
