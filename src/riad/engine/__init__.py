"""The container engine. Its only face is the Docker Engine API on a socket; nothing but `riad engine` imports it.
Imports oci, dockerfile and the kernel. Start with `daemon`, the parts list.
"""
