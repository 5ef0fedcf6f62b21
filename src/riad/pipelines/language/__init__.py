"""The language of `.gitlab-ci.yml`, pure: text → `yaml_source` → `inherit` → `lint` → `compile` → a `PipelinePlan`.

Follows GitLab's keyword reference (doc/ci/yaml) and its published schema. Nothing here reads a file, a clock or a
repository: what rules ask about the world comes in through `context.Context`.
"""
