"""Who may reach the engine: where it listens (`addresses`), TLS over TCP (`tls`), browsers kept out (`browsers`)."""
