"""Users, groups, memberships, tokens, permissions."""
