from collections.abc import Iterator

import pytest

from integration.loop.house import House, open_house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A Riad that tests share; each has a project of its own in it and breaks nothing of the house."""
    with open_house(tmp_path_factory.mktemp("house")) as house:
        yield house
