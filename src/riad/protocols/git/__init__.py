"""git smart HTTP."""
