"""What is done again and what is not."""

from __future__ import annotations

import pytest

from build_bench import Opened, Workbench
from riad.engine.build.options import PARTY, BuildOptions
from riad.oci.reference import parse_reference

pytestmark = pytest.mark.root

_APP = "FROM base:1\nWORKDIR /app\nCOPY requirements.txt .\nRUN cat requirements.txt > /installed\nCOPY . .\nCMD x\n"
_FILES = {"requirements.txt": b"flask\n", "app.py": b"print(1)\n"}


async def test_nothing_changed_gives_the_same_image_and_does_nothing(bench: Workbench) -> None:
    first = await bench.build(_APP, _FILES)
    again = await bench.build(_APP, _FILES, mtime=9999)
    assert again.done == []
    assert first.image is not None and again.image is not None
    assert again.image.id == first.image.id


async def test_a_changed_file_repeats_from_its_copy_on(bench: Workbench) -> None:
    await bench.build(_APP, _FILES)
    changed = await bench.build(_APP, {**_FILES, "app.py": b"print(2)\n"})
    assert changed.done == ["COPY", "CMD"]
    changed = await bench.build(_APP, {**_FILES, "requirements.txt": b"django\n"})
    assert changed.done == ["COPY", "RUN", "COPY", "CMD"]


async def test_the_cache_outlives_a_restart(opened: Opened) -> None:
    async with opened() as bench:
        await bench.build(_APP, _FILES)
    async with opened() as bench:
        assert (await bench.build(_APP, _FILES)).done == []


async def test_the_cache_outlives_its_image(bench: Workbench) -> None:
    told = await bench.build(_APP, _FILES)
    assert told.image is not None
    bench.engine.images.store.remove_image(told.image.id)
    await bench.engine.images.layers.collect()
    assert (await bench.build(_APP, _FILES)).done == []


async def test_no_cache_does_everything_again(bench: Workbench) -> None:
    await bench.build(_APP, _FILES)
    assert len((await bench.build(_APP, _FILES, options=BuildOptions(no_cache=True))).done) == 5


async def test_an_arg_repeats_what_comes_after_its_declaration(bench: Workbench) -> None:
    text = "FROM base:1\nRUN echo a > /a\nARG V\nRUN echo $V > /b\n"
    await bench.build(text, options=BuildOptions(build_args={"V": "1"}))
    told = await bench.build(text, options=BuildOptions(build_args={"V": "2"}))
    assert told.done == ["RUN"]
    assert (await bench.build(text, options=BuildOptions(build_args={"V": "1"}))).done == []


async def test_a_new_label_does_not_repeat_commands(bench: Workbench) -> None:
    await bench.build("FROM base:1\nLABEL commit=1\nRUN echo a > /a\n")
    assert (await bench.build("FROM base:1\nLABEL commit=2\nRUN echo a > /a\n")).done == ["LABEL"]


async def test_a_stage_that_came_out_the_same_does_not_repeat_what_copies_from_it(bench: Workbench) -> None:
    text = (
        "FROM base:1 AS one\nRUN echo {} && echo same > /x && touch -d @0 /x\n"
        "FROM base:1\nCOPY --from=one /x /x\nRUN cat /x > /y\n"
    )
    await bench.build(text.format(1))
    assert (await bench.build(text.format(2))).done == ["RUN"]


async def test_pruning_forgets_everything_that_no_image_needs(bench: Workbench) -> None:
    told = await bench.build(_APP, _FILES)
    assert told.image is not None
    bench.engine.images.store.remove_image(told.image.id)
    keys, freed = await bench.engine.cache.prune()
    assert len(keys) == 4
    assert freed >= sum(map(len, _FILES.values())) + len(_APP) + 2 * len(_FILES["requirements.txt"])
    assert len((await bench.build(_APP, _FILES)).done) == 5


async def test_labels_and_tags_of_the_client_are_put_on_the_image(bench: Workbench) -> None:
    options = BuildOptions(
        labels={"a": "$HOME 'x'"}, tags=(parse_reference("one"), parse_reference("localhost:5/g/two:3"))
    )
    told = await bench.build("FROM base:1\n", options=options)
    assert told.image is not None
    assert told.image.config.config.labels == {"a": "$HOME 'x'"}
    assert {tag.familiar for tag in told.image.tags} == {"one:latest", "localhost:5/g/two:3"}


async def test_only_what_the_target_needs_is_built(bench: Workbench) -> None:
    text = "FROM base:1 AS one\nRUN echo one\nFROM base:1 AS broken\nRUN false\nFROM one AS last\nRUN echo last\n"
    assert (await bench.build(text)).output == "one\nlast\n"
    assert (await bench.build(text, options=BuildOptions(target="one"))).done == []


async def test_a_build_argument_that_nobody_takes_is_told(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\n", options=BuildOptions(build_args={"TYPO": "1"}))
    assert told.warnings == ["One or more build-args [TYPO] were not consumed"]


async def test_parties_do_not_have_to_trust_each_others_results(bench: Workbench) -> None:
    text = (
        "FROM base:1\nCOPY a /a\nRUN --mount=type=cache,target=/c cat /c/* > /seen 2>/dev/null || true; echo x > /c/x\n"
    )
    ours, theirs = (BuildOptions(labels={PARTY: name}) for name in ("demo/ours", "demo/theirs"))
    assert (await bench.build(text, {"a": b"1"}, options=ours)).done == ["COPY", "RUN", "LABEL"]
    assert (await bench.build(text, {"a": b"1"}, options=ours)).done == []
    told = await bench.build(text, {"a": b"1"}, options=theirs)
    assert told.done == ["RUN", "LABEL"]
    async with bench.root(told) as root:
        assert (root / "seen").read_text() == ""
