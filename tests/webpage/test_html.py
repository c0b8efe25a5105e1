"""The page as one file: it loads nothing, runs its own scripts alone, and text stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from result_files import make_result
from webpage_files import EVIL, cell_of, page_of, write

from earmark.benchmark.webpage.html import json_for_html


class Reader(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag in ("script", "style"):
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.inside in ("script", "style"):
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def test_the_page_loads_nothing_and_allows_its_own_scripts_alone(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    text, _ = page_of(tmp_path)
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert tag not in ("iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert name not in ("src", "srcset", "action", "data", "style")
            assert not name.startswith("on")
            if name == "href":
                assert value == "data:," or str(value).startswith("#")
    (policy,) = [
        str(attributes["content"])
        for tag, attributes in reader.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    style, content, *scripts = reader.texts
    assert json.loads(content)["files"] == 1
    assert len(scripts) == 2
    for own in (style, *scripts):
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "@import" not in style
    assert "url(" not in style


@given(
    st.recursive(st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_text_stays_inside_its_script_element(content: Any) -> None:
    text = json_for_html(content)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == content


def test_text_of_files_is_in_the_page_as_json_only(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5, encoder=EVIL, title=EVIL))
    write(tmp_path, make_result(EVIL, 0.5, encoder=EVIL))
    write(tmp_path, make_result("fsc", error=EVIL))
    text, content = page_of(tmp_path)
    assert EVIL in {column["name"] for column in content["tables"][0]["columns"]}
    assert cell_of(content, "fsc", "logmel")["details"]["error"] == EVIL
    assert "window.hit" in text
    for start in [found.start() for found in re.finditer("window.hit", text)]:
        assert text[start - 60 : start].count("<") == 0
    assert len([tag for tag, _ in Reader(text).elements if tag == "script"]) == 3
