"""From `.gitlab-ci.yml` to finished jobs: lint, compile, schedule, run, report. Start with `model`."""
