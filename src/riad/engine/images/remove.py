"""Taking images away: names first, the image when its last name goes, its layers when nothing needs them.

The rules are Docker's: a name is only untagged while the image has others; an image that a container was made of, or on
which another image was built, stays unless forced, and one that a running container uses stays in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from riad.engine.images.local import Images
from riad.engine.images.model import Image, ImageUser
from riad.kernel.faults import Fault, conflict
from riad.oci.digest import Digest
from riad.oci.reference import Reference, parse_reference


@dataclass(frozen=True, slots=True)
class Untagged:
    name: str


@dataclass(frozen=True, slots=True)
class Deleted:
    id: Digest


Removal = Untagged | Deleted


async def remove_image(images: Images, name: str, *, force: bool = False, prune_parents: bool = True) -> list[Removal]:
    """Removes a name, and the image with it where it was the last; or by its id the image with all names.

    Raises NOT_FOUND, and CONFLICT with Docker's sentence where a container or another image needs it.
    """
    image = images.get(name)
    reference = _named(name, image)
    done: list[Removal] = []
    if reference is not None:
        last = not _other_names(image, reference)
        users = images.users(image.id)
        if last and users and not force:
            raise _in_use_by_name(image, reference, users[0])
        done += _untag(images, image, reference)
        if not last or images.store.children(image.id) or any(user.running for user in users):
            return done
    else:
        _refuse_removal(images, image, force=force)
    done += _delete(images, images.by_id(image.id), prune_parents=prune_parents)
    await images.collect()
    return done


async def prune_images(
    images: Images, *, dangling_only: bool, fits: Callable[[Image], bool]
) -> tuple[list[Removal], int]:
    """Removes unused images: the untagged, or without `dangling_only` all. Returns what went and the bytes freed."""
    done: list[Removal] = []
    for image in images.all():
        if images.find(image.id) is None or (dangling_only and image.tags):
            continue
        if images.users(image.id) or images.store.children(image.id) or not fits(image):
            continue
        done += _delete(images, image, prune_parents=True)
    freed = await images.collect()
    return done, freed


def _named(name: str, image: Image) -> Reference | None:
    """The tag or digest that `name` is, or None where it is an id."""
    try:
        reference = parse_reference(name).with_default_tag()
    except Fault:
        return None
    return reference if reference in (*image.tags, *image.digests) else None


def _other_names(image: Image, reference: Reference) -> bool:
    if reference.digest is not None:
        return bool(image.tags) or len(image.digests) > 1
    return any(tag != reference for tag in image.tags)


def _untag(images: Images, image: Image, reference: Reference) -> list[Removal]:
    gone = [reference]
    if reference.digest is None:
        images.store.remove_tag(reference)
        # A repository's digests go with its last tag: nothing of that name remains.
        if not any(tag.repository == reference.repository for tag in image.tags if tag != reference):
            gone += [digest for digest in image.digests if digest.repository == reference.repository]
    for digest in gone:
        if digest.digest is not None:
            images.store.remove_digest(digest.repository, digest.digest)
    for _ in gone:
        images.announce("untag", image.id, {"name": image.id})
    return [Untagged(name.familiar) for name in gone]


def _delete(images: Images, image: Image, *, prune_parents: bool) -> list[Removal]:
    done: list[Removal] = []
    done.extend(Untagged(name.familiar) for name in (*image.tags, *image.digests))
    if images.users(image.id):
        images.store.hide_image(image.id)
    else:
        images.store.remove_image(image.id)
    for _ in done:
        images.announce("untag", image.id, {"name": image.id})
    images.announce("delete", image.id, {"name": image.id})
    done.append(Deleted(image.id))
    if prune_parents and image.parent and images.find(image.parent) is not None:
        parent = images.by_id(image.parent)
        if (
            not parent.tags
            and not parent.digests
            and not images.store.children(parent.id)
            and not images.users(parent.id)
        ):
            done += _delete(images, parent, prune_parents=True)
    return done


def _refuse_removal(images: Images, image: Image, *, force: bool) -> None:
    """The conflicts of removing an image by its id."""
    users = images.users(image.id)
    running = next((user for user in users if user.running), None)
    if images.store.children(image.id):
        raise _conflict(image, "cannot be forced", "image has dependent child images")
    if running is not None:
        reason = f"image is being used by running container {running.container_id[:12]}"
        raise _conflict(image, "cannot be forced", reason)
    if force:
        return
    if len(image.tags) > 1 or len({name.repository for name in (*image.tags, *image.digests)}) > 1:
        raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
    if users:
        reason = f"image is being used by stopped container {users[0].container_id[:12]}"
        raise _conflict(image, "must be forced", reason)


def _conflict(image: Image, way_out: str, reason: str) -> Fault:
    return conflict(f"conflict: unable to delete {image.id.short} ({way_out}) - {reason}")


def _in_use_by_name(image: Image, reference: Reference, user: ImageUser) -> Fault:
    return conflict(
        f'conflict: unable to remove repository reference "{reference.familiar}" (must force) - '
        f"container {user.container_id[:12]} is using its referenced image {image.id.short}"
    )
