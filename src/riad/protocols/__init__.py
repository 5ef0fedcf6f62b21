"""Foreign APIs over the domains: thin, unaware of each other. A handler authenticates, parses, calls one operation, renders."""
