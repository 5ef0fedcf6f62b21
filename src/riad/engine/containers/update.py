"""Changing limits and restart policy of a container: stored, and where it runs put into its control group at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from riad.engine.containers import bundle, spec
from riad.engine.containers.engine import Engine
from riad.engine.containers.limits import settle
from riad.engine.containers.model import Container, HostSettings, Phase, RestartPolicy
from riad.engine.containers.spec import Resources
from riad.kernel.faults import Fault, conflict

_NOTHING = Resources()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to change; what is unset stays. `resources.pids` -1 takes the limit away."""

    resources: Resources = _NOTHING
    nano_cpus: int = 0
    restart: RestartPolicy | None = None


async def update(engine: Engine, container: Container, wish: Wish) -> tuple[str, ...]:
    """Returns warnings. Raises INVALID or CONFLICT with Docker's sentences, INTERNAL with the kernel's reason."""
    settled = settle(wish.resources, wish.nano_cpus, engine.abilities, update=True)
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase is Phase.REMOVING:
            raise _cannot(container, conflict('container is marked for removal and cannot be "update"'))
        try:
            host = merged(container.settings.host, replace(wish, resources=settled.resources))
            if container.phase in (Phase.RUNNING, Phase.PAUSED) and host != container.settings.host:
                await _put(engine, container, host)
        except Fault as fault:
            raise _cannot(container, fault) from None
        container = engine.registry.change(container, settings=replace(container.settings, host=host))
    engine.announce(container, "update")
    return settled.warnings


def merged(before: HostSettings, wish: Wish) -> HostSettings:
    """The settings afterwards; pure. Raises CONFLICT for what contradicts what is set already."""
    limits, asked = before.resources, wish.resources
    for given, already, what in (
        (wish.nano_cpus, limits.cpu_period, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (wish.nano_cpus, limits.cpu_quota, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (asked.cpu_period, before.nano_cpus, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (asked.cpu_quota, before.nano_cpus, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    ):
        if (given or 0) > 0 and (already or 0) > 0:
            raise conflict(f"Conflicting options: {what}")
    if asked.memory and not asked.memory_swap and asked.memory > (limits.memory_swap or 0):
        raise conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if wish.restart is not None and before.auto_remove and wish.restart.name != "no":
        raise conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    changes = {f.name: value for f in fields(Resources) if (value := getattr(asked, f.name)) not in (None, "", 0, ())}
    return replace(
        before,
        resources=replace(limits, **changes),
        nano_cpus=wish.nano_cpus or before.nano_cpus,
        restart=before.restart if wish.restart is None else wish.restart,
    )


async def _put(engine: Engine, container: Container, host: HostSettings) -> None:
    limits = bundle.resources(host, swap_limits=engine.swap_limits)
    if limits != bundle.resources(container.settings.host, swap_limits=engine.swap_limits):
        await engine.runtime.update(container.id, spec.resources_spec(limits, engine.host))


def _cannot(container: Container, fault: Fault) -> Fault:
    return Fault(fault.kind, f"Cannot update container {container.id}: {fault.message}")
