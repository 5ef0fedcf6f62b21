"""The only code of the engine that touches Linux: runc, conmon, overlayfs, nftables, netlink, cgroups, mounts."""
