"""Files in and out of containers (`docker cp`): look, pack, unpack beneath an open root. Start with `copy`."""
