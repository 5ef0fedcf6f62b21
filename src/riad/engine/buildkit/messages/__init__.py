"""The shapes of BuildKit's calls, one file per service; names and tags as in moby/buildkit's *.proto files."""
