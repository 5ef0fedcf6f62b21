"""Runs jobs: claims a pending job, gives it a container, follows its log, collects what it made.

Start with `runner.py` (the loop), then `job_run.py` (the phases of one job, each written down before it happens),
`executor.py` (the port to where jobs run) and `docker_executor.py` (that port over any Docker Engine API).
"""
