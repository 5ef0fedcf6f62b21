"""The forge: projects and their git repositories, pushes, and reading what is in them.

Imports the kernel and identity. Start with `model`; `projects` has the verbs, `pushes` the theory of how a push is
never lost, `repository` reads, `source` is what pipelines take.
"""
