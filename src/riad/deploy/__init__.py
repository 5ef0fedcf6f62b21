"""Environments, releases, roll-outs and roll-backs, and the edge whose routes they switch.

Imports `dockerclient` and `kernel`; what it needs of pipelines, registry and forge it declares as Protocols (see
`ports`). Start with `model`, then `plan` (what a roll-out does, pure) and `runner` (doing it, and doing it on after
a crash).
"""
