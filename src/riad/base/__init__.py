"""Base images made from the distribution's own package mirror, for sites where no registry is reachable.

`recipes` says which names can be made and of what (pure); `host` reads this machine's mirror and certificate
authorities; `build` runs mmdebstrap and keeps the result; `deliver` hands it to an engine. No address stands here: the
host's apt configuration decides. Imports dockerclient, oci and the kernel.
"""
