"""An asynchronous client of any Docker Engine API, and the scoped socket in front of one. Never imports the engine."""
