"""Who is asking and what they may do: users, groups, memberships, passwords, tokens, sessions, permissions.

Imports only the kernel. Start with `model`; `authenticate` turns credentials into a `Principal`, `permissions`
says what a principal may do with a project.
"""
