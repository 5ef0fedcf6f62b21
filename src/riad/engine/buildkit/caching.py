"""Taking the cache along: to and from a registry, or inside the image itself (`--cache-to`, `--cache-from`).

What travels is an image whose layers are the steps' and whose label lists the records: a step's key, its layer, when it
was made. Taken in, the records are as if the steps had been done here. A cache that cannot be had never fails a build.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from riad.engine.build.cache import Cache, Made
from riad.engine.build.progress import NO_STAGE, Tell, Warned, WorkFinished, WorkStarted
from riad.engine.build.solve import Solved
from riad.engine.buildkit.messages.control import CacheEntry
from riad.engine.buildkit.session import Session
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.engine.images.pull import Puller
from riad.engine.images.push import Pusher
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.config import ContainerConfig, ImageConfig
from riad.oci.digest import Digest
from riad.oci.reference import Reference, parse_reference

LABEL = "riad.build.cache"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Caching:
    images: Images
    cache: Cache
    puller: Puller
    pusher: Pusher

    async def take_in(self, sources: Sequence[CacheEntry], session: Session, tell: Tell) -> None:
        """Before a build. What cannot be had is told and left. Raises UNSUPPORTED for other kinds of caches."""
        for source in sources:
            if source.type != "registry":
                raise unsupported(f"--cache-from type={source.type} is not supported by this engine: use type=registry")
            reference = _reference(source.attrs, "--cache-from")
            work = f"importing cache manifest from {reference}"
            await tell(NO_STAGE, WorkStarted(work))
            try:
                await self._imported(reference, session)
            except Fault as fault:
                await tell(NO_STAGE, WorkFinished(work, error=fault.message))
                await tell(NO_STAGE, Warned(f"no cache from {reference}: {fault.message}"))
            else:
                await tell(NO_STAGE, WorkFinished(work))

    def inline(self, solved: Solved, targets: Sequence[CacheEntry]) -> Solved:
        """The result with the cache of its own layers in it, where that is asked for."""
        if not any(target.type == "inline" for target in targets):
            return solved
        image = solved.state.image
        records = _label(_of_layers(solved.trail, image.diff_ids))
        config = replace(image.config, labels={**image.config.labels, LABEL: records})
        return replace(solved, state=solved.state.with_config(config))

    async def give_out(self, solved: Solved, targets: Sequence[CacheEntry], session: Session, tell: Tell) -> None:
        """After a build. Raises UNSUPPORTED for other kinds of caches, and what pushing raises."""
        for target in targets:
            if target.type != "registry":
                continue
            reference = _reference(target.attrs, "--cache-to")
            work = f"exporting cache to registry {reference}"
            await tell(NO_STAGE, WorkStarted(work))
            try:
                await self._exported(solved, reference, session, all_stages=target.attrs.get("mode") == "max")
            except Fault as fault:
                await tell(NO_STAGE, WorkFinished(work, error=fault.message))
                if target.attrs.get("ignore-error") not in ("true", "1"):
                    raise
            else:
                await tell(NO_STAGE, WorkFinished(work))

    async def _exported(self, solved: Solved, reference: Reference, session: Session, *, all_stages: bool) -> None:
        final = solved.state.image.diff_ids
        records = solved.trail if all_stages else _of_layers(solved.trail, final)
        wanted = dict.fromkeys((*final, *(made.diff_id for made in records if made.diff_id is not None)))
        layers = [layer for layer in map(self.images.layers.find, wanted) if layer is not None]
        for layer in layers:
            self.images.layers.pin(layer.diff_id)
        config = ImageConfig(ContainerConfig(labels={LABEL: _label(records)}))
        before = self.images.find(str(reference))
        image = self.images.create(config, layers, [reference])
        try:
            await self.pusher.push(reference, await session.credentials(reference.domain))
        finally:
            await self._put_back(reference, before, image)

    async def _imported(self, reference: Reference, session: Session) -> None:
        before = self.images.find(str(reference))
        image = await self.puller.pull(reference, await session.credentials(reference.domain))
        try:
            for made in _records(image.config.config.labels):
                layer = self.images.layers.find(made.diff_id) if made.diff_id else None
                if (made.diff_id is None or layer is not None) and self.cache.find(made.key) is None:
                    self.cache.keep(made.key, layer, created=made.created, description=made.description)
        finally:
            await self._put_back(reference, before, image)

    async def _put_back(self, reference: Reference, before: Image | None, image: Image) -> None:
        """The name means what it meant before; an image that only carried the cache goes."""
        if before is not None and before.id != image.id:
            self.images.store.set_tag(reference, before.id, at=self.images.clock.now())
        if before is None and LABEL in image.config.config.labels and not image.config.history:
            self.images.store.remove_tag(reference)
            if not self.images.by_id(image.id).tags:
                self.images.store.remove_image(image.id)
                await self.images.collect()


def check_targets(targets: Sequence[CacheEntry]) -> None:
    """Raises UNSUPPORTED for a kind of cache that cannot be exported, before anything is built."""
    for target in targets:
        if target.type not in ("inline", "registry"):
            raise unsupported(f"--cache-to type={target.type} is not supported by this engine: use inline or registry")
        if target.type == "registry":
            _reference(target.attrs, "--cache-to")


def sources_of(attrs: Mapping[str, str], given: Sequence[CacheEntry]) -> tuple[CacheEntry, ...]:
    """The caches to take in, as the frontend's options or the request itself name them. Raises INVALID."""
    text = attrs.get("cache-imports", "")
    if not text:
        old = tuple(CacheEntry("registry", {"ref": ref}) for ref in attrs.get("cache-from", "").split(",") if ref)
        return (*given, *old)
    try:
        return tuple(CacheEntry(entry["Type"], entry.get("Attrs") or {}) for entry in json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise invalid(f"cache-imports: expected a list of caches, not {text[:80]}") from None


def _reference(attrs: Mapping[str, str], option: str) -> Reference:
    if not attrs.get("ref"):
        raise invalid(f"{option} type=registry needs ref=NAME")
    return parse_reference(attrs["ref"]).with_default_tag()


def _of_layers(trail: Sequence[Made], layers: Sequence[Digest]) -> tuple[Made, ...]:
    """The records of a result's own steps: those that made its layers, and those that made none."""
    return tuple(made for made in trail if made.diff_id is None or made.diff_id in layers)


def _label(records: Sequence[Made]) -> str:
    rows = {made.key: [made.diff_id and str(made.diff_id), made.created, made.description[:200]] for made in records}
    return json.dumps({"format": _FORMAT, "records": rows}, separators=(",", ":"))


def _records(labels: Mapping[str, str]) -> list[Made]:
    """Raises INVALID for an image that carries no cache."""
    try:
        value: Any = json.loads(labels[LABEL])
        if value["format"] != _FORMAT:
            raise ValueError
        return [
            Made(key, Digest(diff_id) if diff_id else None, str(created), str(description))
            for key, (diff_id, created, description) in value["records"].items()
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise invalid("there is no cache of this engine's in it") from None
