"""Which names and images go, and which stay because something needs them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from riad.engine.images.importing import commit_image, import_image
from riad.engine.images.local import Images
from riad.engine.images.model import Image, ImageUser
from riad.engine.images.remove import Deleted, Untagged, prune_images, remove_image
from riad.engine.state import State
from riad.kernel.faults import Fault, Kind
from riad.oci.config import ContainerConfig
from riad.oci.digest import Digest
from riad.oci.reference import parse_reference

pytestmark = pytest.mark.root


class House:
    """Images with containers that tests put in."""

    def __init__(self, root: Path) -> None:
        self.state = State(root)
        self.containers: dict[Digest, ImageUser] = {}
        self.events: list[tuple[str, str]] = []
        self.images = Images(
            self.state,
            root,
            users=lambda image: (self.containers[image],) if image in self.containers else (),
            announce=lambda action, subject, attributes: self.events.append((action, subject)),
        )

    async def image(self, name: str, content: bytes = b"x") -> Image:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo("file")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        buffer.seek(0)
        return await import_image(self.images, buffer, reference=parse_reference(name))

    async def child(self, parent: Image, name: str) -> Image:
        folder = self.images.layers.scratch()
        (folder / "more").write_text("y")
        return await commit_image(self.images, parent, folder, ContainerConfig(), reference=parse_reference(name))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.state.close()


async def refused(house: House, name: str, *, force: bool = False) -> str:
    with pytest.raises(Fault) as caught:
        await remove_image(house.images, name, force=force)
    assert caught.value.kind is Kind.CONFLICT
    return caught.value.message


async def test_one_of_two_names_is_only_untagged(house: House) -> None:
    image = await house.image("a:1")
    house.images.tag(image, parse_reference("b:1"))
    assert await remove_image(house.images, "a:1") == [Untagged("a:1")]
    assert house.images.get("b:1").id == image.id


async def test_an_image_with_names_of_several_repositories_is_removed_by_id_only_by_force(house: House) -> None:
    image = await house.image("a:1")
    house.images.tag(image, parse_reference("b:1"))
    assert "(must be forced) - image is referenced in multiple repositories" in await refused(house, image.id)
    done = await remove_image(house.images, image.id, force=True)
    assert done == [Untagged("a:1"), Untagged("b:1"), Deleted(image.id)]
    assert not house.images.store.layers()
    assert [action for action, _ in house.events] == ["import", "tag", "untag", "untag", "delete"]


async def test_what_a_stopped_container_uses_goes_by_force_and_its_layers_stay(house: House) -> None:
    image = await house.image("a:1")
    house.containers[image.id] = ImageUser("c" * 64, running=False)
    assert f'"a:1" (must force) - container {"c" * 12} is using' in await refused(house, "a:1")
    assert "must be forced" in await refused(house, image.id)
    await remove_image(house.images, "a:1", force=True)
    assert house.images.find("a:1") is None
    assert house.images.find(image.id) is None
    assert house.images.all() == []
    assert all(path.exists() for path in house.images.layer_paths(house.images.by_id(image.id)))
    del house.containers[image.id]
    await house.images.collect()
    assert not house.images.store.layers()


async def test_what_a_running_container_uses_can_only_lose_its_name(house: House) -> None:
    image = await house.image("a:1")
    house.containers[image.id] = ImageUser("c" * 64, running=True)
    assert "(cannot be forced)" in await refused(house, image.id, force=True)
    assert await remove_image(house.images, "a:1", force=True) == [Untagged("a:1")]
    assert house.images.get(image.id).tags == ()


async def test_a_parent_stays_until_its_last_child_goes(house: House) -> None:
    parent = await house.image("base:1")
    child = await house.child(parent, "app:1")
    assert "dependent child images" in await refused(house, parent.id, force=True)
    assert await remove_image(house.images, "base:1") == [Untagged("base:1")]
    done = await remove_image(house.images, "app:1")
    assert done == [Untagged("app:1"), Deleted(child.id), Deleted(parent.id)]
    assert not house.images.store.layers()


async def test_prune_leaves_what_is_named_used_or_a_parent(house: House) -> None:
    named = await house.image("named:1", b"1")
    used = await house.image("moved:1", b"2")
    house.containers[used.id] = ImageUser("c" * 64, running=False)
    dangling = await house.image("moved:1", b"3")
    await house.image("moved:1", b"4")
    done, freed = await prune_images(house.images, dangling_only=True, fits=lambda _: True)
    assert done == [Deleted(dangling.id)]
    assert freed >= 4096  # what the disk gets back: blocks
    done, _ = await prune_images(house.images, dangling_only=False, fits=lambda image: image.id == named.id)
    assert done == [Untagged("named:1"), Deleted(named.id)]


async def test_a_layer_that_somebody_holds_outlives_its_image(house: House) -> None:
    image = await house.image("a:1")
    house.images.layers.hold("build:key", image.layers)
    await remove_image(house.images, "a:1")
    assert house.images.layers.get(image.layers[0]).path.exists()
    house.images.layers.release("build:key")
    assert await house.images.layers.collect() >= 4096
