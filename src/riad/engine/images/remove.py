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
    """Removes a name, or the whole image where it was the last or `name` is an id.

    Raises NOT_FOUND, and CONFLICT with Docker's sentence where a container or another image needs it.
    """
    image = images.get(name)
    reference = _named(name, image)
    if reference is not None and (_other_names(image, reference) or images.store.children(image.id)):
        return _untag(images, image, reference)
    if reference is None:
        _refuse_children(images, image)
        _refuse_several_names(image, force=force)
    _refuse_users(images, image, force=force, by_id=reference is None)
    done = _delete(images, image, prune_parents=prune_parents)
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


def _refuse_children(images: Images, image: Image) -> None:
    if images.store.children(image.id):
        raise conflict(
            f"conflict: unable to delete {image.id.short} (cannot be forced) - image has dependent child images"
        )


def _refuse_several_names(image: Image, *, force: bool) -> None:
    repositories = {name.repository for name in (*image.tags, *image.digests)}
    if not force and (len(image.tags) > 1 or len(repositories) > 1):
        raise conflict(
            f"conflict: unable to delete {image.id.short} (must be forced) - "
            "image is referenced in multiple repositories"
        )


def _refuse_users(images: Images, image: Image, *, force: bool, by_id: bool) -> None:
    users = images.users(image.id)
    running = next((user for user in users if user.running), None)
    if running is not None:
        raise conflict(
            f"conflict: unable to {_verb(image, by_id=by_id)} (cannot be forced) - "
            f"image is being used by running container {running.container_id[:12]}"
        )
    if users and not force:
        raise _stopped(image, users[0], by_id=by_id)


def _stopped(image: Image, user: ImageUser, *, by_id: bool) -> Fault:
    if by_id:
        return conflict(
            f"conflict: unable to delete {image.id.short} (must be forced) - "
            f"image is being used by stopped container {user.container_id[:12]}"
        )
    name = next(iter((*image.tags, *image.digests))).familiar
    return conflict(
        f'conflict: unable to remove repository reference "{name}" (must force) - '
        f"container {user.container_id[:12]} is using its referenced image {image.id.short}"
    )


def _verb(image: Image, *, by_id: bool) -> str:
    return f"delete {image.id.short}" if by_id or not image.tags else f"delete {image.tags[0].familiar}"
