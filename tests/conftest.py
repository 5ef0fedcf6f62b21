"""What every test may ask for."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from api_judge import proxy as api_judge

pytest_plugins = ["leftovers", "databases", "serving"]

# The same examples in every run, however slow the machine; `--hypothesis-profile=default` looks for new ones.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(autouse=True)
def _answers_as_described() -> Iterator[None]:
    """A test fails where an engine answered it in a way that Docker's description of the API does not allow."""
    yield
    api_judge.check()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process ends up alone with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
