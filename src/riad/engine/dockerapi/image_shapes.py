"""Images as the Docker Engine API shows them: list, inspect, history. Absent lists are null or [] as Go prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from riad.engine.dockerapi.wire import ZERO_TIME, Shape, moment, parse_moment
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.engine.images.remove import Deleted, Removal, Untagged
from riad.oci import media
from riad.oci.config import ContainerConfig
from riad.oci.digest import Digest
from riad.oci.reference import Reference


def summary(image: Image, *, tags: Sequence[Reference] | None = None, shared: int = -1, containers: int = -1) -> Shape:
    """An entry of `docker images`; `tags` only where not all are to be shown."""
    shown = image.tags if tags is None else tags
    return {
        "Containers": containers,
        "Created": created_seconds(image.created),
        "Id": image.id,
        "Labels": dict(image.config.config.labels) or None,
        "ParentId": image.parent or "",
        "RepoDigests": [name.familiar for name in image.digests],
        "RepoTags": [name.familiar for name in shown],
        "SharedSize": shared,
        "Size": image.size,
    }


def manifests(image: Image, images: Images) -> list[Shape]:
    """ImageManifestSummary (API 1.47) of the one platform that is kept: of the manifests that it came or went by, or
    of its configuration, which is what names an image that was built or loaded."""
    known = images.store.manifests(image.id)
    config = images.config_bytes(image.id)
    kept = [(row.digest, row.media_type, len(row.body)) for row in known] or [
        (image.id, media.DOCKER_CONFIG, len(config))
    ]
    users = [user.container_id for user in images.users(image.id)]
    return [
        {
            "ID": digest,
            "Descriptor": {"mediaType": media_type, "digest": digest, "size": size},
            "Available": True,
            "Size": {"Content": size, "Total": size + image.size},
            "Kind": "image",
            "ImageData": {
                "Platform": image.config.platform.to_json(),
                "Containers": users,
                "Size": {"Unpacked": image.size},
            },
        }
        for digest, media_type, size in kept
    ]


def shared_sizes(images: Images, chosen: Iterable[Image]) -> dict[Digest, int]:
    """Per image, the bytes of those of its layers that other images have too."""
    uses, sizes = images.layers.uses(), images.layers.sizes()
    return {image.id: sum(sizes[layer] for layer in set(image.layers) if uses.get(layer, 0) > 1) for image in chosen}


def details(image: Image, images: Images) -> Shape:
    """The body of GET /images/NAME/json."""
    config = image.config
    shape: Shape = {
        "Id": image.id,
        "RepoTags": [name.familiar for name in image.tags],
        "RepoDigests": [name.familiar for name in image.digests],
        "Parent": image.parent or "",
        "Comment": config.comment,
        "Created": config.created or ZERO_TIME,
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": container_config(config.config),
        "Architecture": config.platform.architecture,
        "Os": config.platform.os,
        "Size": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": _folders(image, images)},
        "RootFS": {"Type": "layers", "Layers": list(image.layers)} if image.layers else {"Type": "layers"},
        "Metadata": {"LastTagTime": moment(image.tagged_at)},
    }
    if config.platform.variant:
        shape["Variant"] = config.platform.variant
    if config.os_version:
        shape["OsVersion"] = config.os_version
    return shape


def for_older_clients(shape: Shape, version: tuple[int, int]) -> Shape:
    """`details` with the members that clients of an older version expect: Compose 1 fails without ContainerConfig."""
    if version < (1, 44):
        shape["VirtualSize"] = shape["Size"]
    if version < (1, 45):
        shape |= {"Container": "", "ContainerConfig": shape["Config"]}
    return shape


def container_config(config: ContainerConfig) -> Shape:
    """`Config` with the members that Go prints even when they are empty."""
    always: Shape = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    return always | config.to_json()


def history(image: Image, images: Images) -> list[Shape]:
    """The newest step first. A step's Id is known where its image is here, as after a build."""
    sizes = iter([images.layers.sizes().get(layer, 0) for layer in image.layers])
    steps: list[Shape] = [
        {
            "Id": "<missing>",
            "Created": created_seconds(step.created),
            "CreatedBy": step.created_by,
            "Tags": None,
            "Size": 0 if step.empty_layer else next(sizes, 0),
            "Comment": step.comment,
        }
        for step in image.config.history
    ]
    steps.reverse()
    for step, ancestor in zip(steps, _ancestors(image, images), strict=False):
        step["Id"] = ancestor.id
        step["Tags"] = [name.familiar for name in ancestor.tags] or None
    return steps


def removal(done: Removal) -> dict[str, str]:
    match done:
        case Untagged(name=name):
            return {"Untagged": name}
        case Deleted(id=image):
            return {"Deleted": image}


def created_seconds(text: str) -> int:
    at = created_at(text)
    return int(at.timestamp()) if at else 0


def created_at(text: str) -> datetime | None:
    """The moment of a configuration's `created`; None where it is missing or not one."""
    try:
        found = parse_moment(text, name="created")
    except Exception:  # a stranger's configuration; an odd date must not hide the image
        return None
    return found.astimezone(UTC) if found else None


def _ancestors(image: Image, images: Images) -> Iterator[Image]:
    current: Image | None = image
    while current is not None:
        yield current
        current = images.find(current.parent) if current.parent else None


def _folders(image: Image, images: Images) -> dict[str, Any]:
    paths = [str(layer.path) for layer in reversed(images.layers.of(image.id))]
    if not paths:
        return {}
    return {"UpperDir": paths[0]} | ({"LowerDir": ":".join(paths[1:])} if paths[1:] else {})
