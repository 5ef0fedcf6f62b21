"""Volumes that outlive containers."""
