"""Foreign APIs over the domains: thin, unaware of each other. A handler parses, calls one operation, renders."""
