"""Networks: address allocation and the nftables ruleset (pure); create, connect, publish, resolve names."""
