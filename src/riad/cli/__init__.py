"""The `riad` command. Heavy imports stay inside commands: `riad --help` must be instant."""
