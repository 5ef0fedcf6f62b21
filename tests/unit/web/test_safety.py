import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.web import code, markdown
from riad.web.protection import own_address

BASE = "/demo/app/-/blob/main/"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        (
            "[x](docs/a.md)",
            '<p><a href="/demo/app/-/blob/main/docs/a.md" rel="nofollow noreferrer noopener">x</a></p>\n',
        ),
        ("![a <b>picture](http://elsewhere/x.png)", "<p>[a &lt;b&gt;picture]</p>\n"),
        ("a **b** `c`", "<p>a <strong>b</strong> <code>c</code></p>\n"),
    ],
)
def test_markdown_is_rendered_without_what_could_run(text: str, html: str) -> None:
    assert markdown.render(text, base=BASE) == html


@given(st.text(max_size=200))
def test_no_markdown_makes_a_script_or_an_attribute_of_its_own(text: str) -> None:
    made = str(markdown.render(text, base=BASE))
    assert not re.search(r"<(script|img|iframe|style|svg|object|form|input)", made, re.IGNORECASE)
    assert not re.search(r"<[^>]+\son\w+\s*=", made)
    assert not re.search(r'href="\s*(javascript|vbscript|data):', made, re.IGNORECASE)


@pytest.mark.parametrize("name", ["a.py", "a.unknown", "Dockerfile", "a.html", "a.yml"])
def test_source_keeps_its_lines_and_is_escaped(name: str) -> None:
    text = '\nx = "<script>"\n\n\nend\n'
    made = code.lines(name, text)
    assert len(made) == 5
    assert all("<script" not in line for line in made)


@given(st.text(max_size=300), st.sampled_from(["a.py", "a.html", "a.js", "a.yml", "a.txt"]))
def test_any_source_has_as_many_lines_as_it_has(text: str, name: str) -> None:
    made = code.lines(name, text)
    assert len(made) == len(text.removesuffix("\n").split("\n"))
    assert all(not re.search(r"<(?!/?span)", line) for line in made)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("/demo/app?x=1", "/demo/app?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ],
)
def test_a_sign_in_leads_to_this_server_alone(text: str, safe: str) -> None:
    assert own_address(text) == safe
