"""Async client of any Docker Engine API: Riad's engine, Docker, Podman. Imports `kernel` only; never the engine.

Start with `client.DockerClient`. One file per resource; what comes back is a small dataclass where callers need few
fields, the engine's own JSON otherwise. Every failure is a `Fault`: a lost or refused connection is UNAVAILABLE, so
that callers can wait for a restarting engine; the engine's own refusals keep its message.
"""
