"""What every test may ask for."""

pytest_plugins = ["leftovers", "databases", "serving"]
