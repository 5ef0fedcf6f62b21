"""`riad engine`: the daemon itself (`group`), and one file for each thing that can be asked of or done to an engine."""
