"""Finding what an engine owns and nothing of it needs any more, and taking it away. Start reading at `search`."""
