"""Experiments, runs and their metrics; models and their versions."""
