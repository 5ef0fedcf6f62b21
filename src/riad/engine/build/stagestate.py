"""What a stage has come to between two instructions, as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from riad.engine.containers.spec import DEFAULT_PATH
from riad.oci.config import ContainerConfig, History, ImageConfig
from riad.oci.digest import Digest

DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class StageState:
    """`args` are the ARGs in force here; `key` names the whole history of the stage for the cache.

    `cmd_here`: CMD was set by this stage, so that an ENTRYPOINT does not take away an inherited one only.
    """

    image: ImageConfig
    key: str
    args: Mapping[str, str] = field(default_factory=dict)
    cmd_here: bool = False

    @property
    def config(self) -> ContainerConfig:
        return self.image.config

    @property
    def layers(self) -> tuple[Digest, ...]:
        return self.image.diff_ids

    @property
    def env(self) -> dict[str, str]:
        return env_dict(self.config.env)

    @property
    def variables(self) -> dict[str, str]:
        """What `$NAME` means here: ENV always wins over ARG."""
        return {**self.args, **self.env}

    @property
    def shell(self) -> tuple[str, ...]:
        return self.config.shell or DEFAULT_SHELL

    def with_config(self, config: ContainerConfig) -> StageState:
        return replace(self, image=replace(self.image, config=config))

    def grown(self, history: History, *, key: str, layer: Digest | None = None) -> StageState:
        """After one more step."""
        layers = self.layers if layer is None else (*self.layers, layer)
        image = replace(self.image, diff_ids=layers, history=(*self.image.history, history), created=history.created)
        return replace(self, image=image, key=key)


def with_path(config: ContainerConfig) -> ContainerConfig:
    """A base without PATH gets the usual one, which every later container of the image then has too."""
    return config if "PATH" in env_dict(config.env) else replace(config, env=(*config.env, DEFAULT_PATH))


def env_dict(env: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in env)}


def env_list(env: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in env.items())
