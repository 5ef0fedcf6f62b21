"""Dockerfile text as values: parsing, variables, shell words. Pure; imports only the kernel. Both the engine's builder
and the scoped socket read it. Start with `parse`.
"""
