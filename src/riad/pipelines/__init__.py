"""Pipelines: `.gitlab-ci.yml` is read, compiled to a plan, scheduled, run in containers and reported.

Start with `create.py` (a push becomes a pipeline), then `language/` (the file format, pure), `schedule.py` (which job
may go next, pure), `runner/` (a job in a container). May import dockerclient, identity and the kernel.
"""
