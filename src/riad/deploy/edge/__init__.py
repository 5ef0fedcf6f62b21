"""The one port that users reach: which service answers on which host name. Start with `port`, the contract;
`haproxy` keeps it with HAProxy, whose configuration `config` writes (pure).
"""
