"""A container engine that shows and allows one project's things only: what a job that builds images talks to.

`rules` and its neighbours decide and rewrite (pure); `proxy` carries them out in front of any Docker Engine API on a
unix socket of its own; `sockets` opens and closes one per job. Start with `rules`.
"""
