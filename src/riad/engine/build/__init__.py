"""Dockerfile builds: plan (pure), then solve with a cache.

`plan` decides which stages are needed, `evaluate` what each instruction does (both pure), `solve` does it: looks up
what an earlier build already made (`cache`), else copies (`place`) or runs (`run`) over the layers so far. Where its
files come from (a tar, later a session) is behind `tree.Tree`; where its progress goes, behind `progress.Progress`.
Imports images, networks, containers' specification and host; knows no HTTP.
"""
