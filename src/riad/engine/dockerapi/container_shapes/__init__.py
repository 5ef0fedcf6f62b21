"""Containers as the API shows them: `inspect.py` in full, `listing.py` the short form of `ps`."""
