import io
import json
import tarfile

import pytest

from riad.dockerclient.scoped import build_query, context
from riad.dockerclient.scoped.scope import Scope
from riad.kernel.faults import Fault, Kind

SHOP = Scope("localhost:8080", "demo/shop", 7)


def query(**values: str | list[str]) -> dict[str, list[str]]:
    return {key: value if isinstance(value, list) else [value] for key, value in values.items()}


def test_a_build_gets_the_projects_labels_over_its_own() -> None:
    found = build_query.check(query(t="localhost:8080/demo/shop:1", labels='{"a":"b"}'), SHOP)
    labels = json.loads(dict(found.query)["labels"])
    assert (labels["a"], labels["riad.project"]) == ("b", "demo/shop")
    assert ("t", "localhost:8080/demo/shop:1") in found.query


def test_every_name_of_the_result_is_looked_at() -> None:
    with pytest.raises(Fault, match=r'cannot name an image "python:3\.11"'):
        build_query.check(query(t=["localhost:8080/demo/shop:1", "python:3.11"]), SHOP)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("remote", "https://example.com/x.git"), ("cgroupparent", "/"), ("securityopt", '["seccomp=unconfined"]'),
        ("outputs", '[{"Type":"local"}]'), ("squash", "1"), ("networkmode", "host"), ("networkmode", "container:x"),
        ("isolation", "hyperv"), ("version", "2"), ("session", "abc"), ("labels", '{"riad.project":"other/x"}'),
        ("labels", "[]"), ("buildargs", '{"A":1}'), ("cachefrom", "[1]"), ("future", "1"),
        ("t", "localhost:8080/other/x"), ("t", "UPPER"),
    ],
)  # fmt: skip
def test_a_parameter_that_reaches_beyond_the_build_is_refused(name: str, value: str) -> None:
    with pytest.raises(Fault) as caught:
        build_query.check(query(**{name: value}), SHOP)
    assert caught.value.kind in (Kind.DENIED, Kind.INVALID, Kind.UNSUPPORTED)


def test_what_the_docker_command_sends_by_itself_passes() -> None:
    """The parameters of `docker build -t … .`, CLI 28.2, classic builder."""
    found = build_query.check(
        query(
            buildargs="{}", cachefrom="[]", cgroupparent="", cpuperiod="0", cpuquota="0", cpusetcpus="", cpusetmems="",
            cpushares="0", dockerfile="Dockerfile", labels="{}", memory="0", memswap="0", networkmode="default", rm="1",
            shmsize="0", t="localhost:8080/demo/shop", target="", ulimits="[]", version="1",
        ),
        SHOP,
    )  # fmt: skip
    assert (found.dockerfile, found.network, found.images) == ("Dockerfile", None, ())


# -- contexts


Entry = tuple[str, bytes | None, str]
"""Name, content, what it is: file, dir, link (to the content's text), hard (likewise)."""


def tar(*entries: tuple[str, bytes] | Entry, mode: str = "w") -> io.BytesIO:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode=mode) as archive:  # type: ignore[call-overload]
        for entry in entries:
            name, content, kind = entry if len(entry) == 3 else (*entry, "file")
            member = tarfile.TarInfo(name)
            if kind == "dir":
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif kind in ("link", "hard"):
                member.type = tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE
                member.linkname = (content or b"").decode()
                archive.addfile(member)
            else:
                member.size = len(content or b"")
                archive.addfile(member, io.BytesIO(content or b""))
    return body


def built(body: io.BytesIO, wanted: str = "Dockerfile") -> tuple[bytes, list[tuple[str, bytes]]]:
    """What was checked, and what an engine that unpacks the repacked context (last entry wins) would read."""
    dockerfile = context.find(body, wanted)
    target = io.BytesIO()
    context.repack(body, target, dockerfile)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        files = [(m.name, archive.extractfile(m).read() if m.isreg() else m.linkname.encode()) for m in archive]  # type: ignore[union-attr]
    assert files[-1] == (dockerfile.path, dockerfile.content)
    assert sum(context.inside(name) == dockerfile.path for name, _ in files) == 1
    return dockerfile.content, files[:-1]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_the_dockerfile_is_found_in_plain_and_compressed_contexts(mode: str) -> None:
    content, rest = built(tar(("app.py", b"x"), ("Dockerfile", b"FROM a\n"), mode=mode))
    assert (content, rest) == (b"FROM a\n", [("app.py", b"x")])


def test_of_two_dockerfiles_the_last_is_checked_and_the_only_one_left() -> None:
    content, _ = built(tar(("Dockerfile", b"FROM good\n"), ("./Dockerfile", b"FROM evil\n")))
    assert content == b"FROM evil\n"
    content, _ = built(tar(("Dockerfile", b"FROM evil\n"), ("x/../Dockerfile", b"FROM good\n")))
    assert content == b"FROM good\n"
    content, _ = built(tar(("/Dockerfile", b"FROM good\n")))
    assert content == b"FROM good\n"


def test_links_are_followed_inside_the_context() -> None:
    content, _ = built(tar(("deploy/prod", b"FROM a\n"), ("Dockerfile", b"deploy/prod", "link")))
    assert content == b"FROM a\n"
    content, _ = built(tar(("deploy/prod", b"FROM a\n"), ("Dockerfile", b"deploy/prod", "hard")))
    assert content == b"FROM a\n"


def test_a_later_link_to_the_dockerfile_gets_a_copy_and_changes_nothing() -> None:
    content, rest = built(tar(("Dockerfile", b"FROM a\n"), ("again", b"Dockerfile", "hard")))
    assert (content, rest) == (b"FROM a\n", [("again", b"FROM a\n")])


def test_a_link_in_the_place_of_the_dockerfiles_folder_is_left_out() -> None:
    content, rest = built(
        tar(("docker/Dockerfile", b"FROM a\n"), ("evil/Dockerfile", b"FROM evil\n"), ("docker", b"evil", "link")),
        "docker/Dockerfile",
    )
    assert content == b"FROM a\n"
    assert "docker" not in [name for name, _ in rest]


@pytest.mark.parametrize(
    "body",
    [
        tar(("app.py", b"")),
        tar(("Dockerfile", b"Dockerfile", "link")),
        tar(("Dockerfile", b"../../etc/passwd", "link")),
        tar(("Dockerfile", None, "dir")),
    ],
)
def test_a_context_without_a_dockerfile_says_so(body: io.BytesIO) -> None:
    with pytest.raises(Fault, match="Cannot locate specified Dockerfile: Dockerfile"):
        context.find(body, "Dockerfile")


def test_small_letters_are_a_dockerfile_too() -> None:
    assert context.find(tar(("dockerfile", b"FROM a\n")), "Dockerfile").path == "dockerfile"


@pytest.mark.parametrize("body", [b"", b"no tar at all", tar(("Dockerfile", b"FROM a\n" * 99)).getvalue()[:700]])
def test_what_is_no_tar_is_refused(body: bytes) -> None:
    with pytest.raises(Fault):
        context.find(io.BytesIO(body), "Dockerfile")


def test_a_context_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "LARGEST", 10_000)
    with pytest.raises(Fault, match=r"\.dockerignore"):
        context.find(tar(("x", b"x" * 20_000), mode="w:gz"), "Dockerfile")


def images(text: str, **arguments: str) -> tuple[str, ...]:
    return context.images(context.Dockerfile("Dockerfile", text.encode(), 0, 0o644), dict(arguments))


def test_every_image_that_a_build_reads_is_seen() -> None:
    text = (
        "ARG BASE=python:3.11\nFROM ${BASE} AS one\nFROM localhost:8080/other/x\nCOPY --from=one /a /a\n"
        "COPY --from=localhost:8080/other/y /b /b\nRUN --mount=type=bind,from=localhost:8080/other/z,target=/c true\n"
        "ONBUILD COPY --from=localhost:8080/other/w /d /d\n"
    )
    found = set(images(text, BASE="localhost:8080/other/v"))
    assert found == {f"localhost:8080/other/{letter}" for letter in "vwxyz"}


@pytest.mark.parametrize("option", ["--network=host", "--security=insecure"])
def test_a_run_that_reaches_beyond_its_container_is_refused_with_its_line(option: str) -> None:
    with pytest.raises(Fault) as caught:
        images(f"FROM a\n\nRUN {option} true\n")
    assert "line 3" in caught.value.message or "3" in caught.value.message
