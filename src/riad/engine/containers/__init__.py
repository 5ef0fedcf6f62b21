"""Containers: model, life cycle, runtime specification (pure); one file per verb."""
