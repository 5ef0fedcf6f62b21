import pytest

from riad.kernel.faults import Fault
from riad.ml import artifacts, names


@pytest.mark.parametrize("key", ["loss", "val/loss", "a b", "a.b-c_d:e", "x" * 250, "größe"])
def test_keys(key: str) -> None:
    assert names.key(key, "metric") == key


@pytest.mark.parametrize(
    "key", ["", None, 5, "a\\b", "../a", "a/../b", "/a", "a//b", "./a", ".", "..", "x" * 251, "a'b"]
)
def test_bad_keys_are_refused_by_name(key: object) -> None:
    with pytest.raises(Fault, match="parameter 'name' supplied"):
        names.key(key, "metric", "name")


@pytest.mark.parametrize("alias", ["", "v1", "V22", "latest", "a b", "a/b"])
def test_bad_aliases_are_refused(alias: str) -> None:
    with pytest.raises(Fault):
        names.alias(alias)


@pytest.mark.parametrize(
    ("path", "kept"), [("1/a/b.txt", "1/a/b.txt"), ("1//a/./b", "1/a/b"), ("1/a/", "1/a"), ("", "")]
)
def test_paths_are_kept_clean(path: str, kept: str) -> None:
    assert artifacts.clean(path) == kept


@pytest.mark.parametrize(
    "path", ["../a", "1/../../etc", "/etc/passwd", "1\\..\\a", "1/a\0b", "1/a\nb", "1/" + "x" * 2000]
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(Fault):
        artifacts.clean(path)
