"""Names of containers on user-defined bridges: messages (pure), answers (pure), forwarding, one server per bridge."""
