"""What changes a cache key, and what must not."""

from __future__ import annotations

from collections.abc import Mapping

from riad.dockerfile.parse import parse
from riad.engine.build import keys
from riad.engine.build.evaluate import Configure, Execute, MakeDirectory, Scope, evaluate
from riad.engine.build.stagestate import StageState
from riad.oci.config import ImageConfig
from riad.oci.digest import digest_of

_LAYERS = [digest_of(b"1"), digest_of(b"2")]


def key(text: str, args: Mapping[str, str] | None = None, network: str = "bridge") -> str:
    """The key of the RUN at the end."""
    file = parse("FROM base\n" + text)
    scope, state = Scope({}, args or {}), StageState(ImageConfig(), "")
    for instruction in file.stages[0].instructions:
        action = evaluate(instruction, state, scope)
        if isinstance(action, Execute):
            return keys.run(_LAYERS, action, network=network, hosts=(), mounted=[])
        assert isinstance(action, Configure | MakeDirectory)
        state = action.state
    raise AssertionError("no RUN")


def test_a_command_is_keyed_by_its_text() -> None:
    assert key("RUN a\n") == key("RUN  a\n")
    assert key("RUN a\n") != key("RUN b\n")
    assert key("RUN a b\n") != key('RUN ["a", "b"]\n')


def test_env_user_workdir_and_shell_count() -> None:
    plain = key("RUN a\n")
    for before in ("ENV A=1\n", "USER x\n", "WORKDIR /x\n", 'SHELL ["/bin/bash", "-c"]\n'):
        assert key(before + "RUN a\n") != plain


def test_what_no_command_can_see_does_not_count() -> None:
    plain = key("RUN a\n")
    for before in ("LABEL a=b\n", "EXPOSE 80\n", 'CMD ["x"]\n', "MAINTAINER x\n", "STOPSIGNAL 9\n", "VOLUME /x\n"):
        assert key(before + "RUN a\n") == plain


def test_an_arg_counts_from_its_declaration_on() -> None:
    assert key("ARG V\nRUN a\n", {"V": "1"}) != key("ARG V\nRUN a\n", {"V": "2"})
    assert key("RUN a\nARG V\n", {"V": "1"}) == key("RUN a\nARG V\n", {"V": "2"})


def test_an_arg_that_env_overrides_does_not_count() -> None:
    text = "ARG V\nENV V=fixed\nRUN a\n"
    assert key(text, {"V": "1"}) == key(text, {"V": "2"})


def test_proxies_do_not_count_unless_declared() -> None:
    assert key("RUN a\n", {"http_proxy": "x"}) == key("RUN a\n")
    assert key("ARG http_proxy\nRUN a\n", {"http_proxy": "x"}) != key("ARG http_proxy\nRUN a\n")


def test_the_network_counts() -> None:
    assert key("RUN a\n") != key("RUN a\n", network="none")


def test_layers_count_in_their_order() -> None:
    assert keys.chain(_LAYERS) != keys.chain(_LAYERS[::-1])
