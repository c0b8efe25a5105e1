"""The page: one HTML file with all it needs, and a policy under which nothing else can run.

Text from files is in it twice only: in the head, which jinja2 escapes, and as JSON in a script
element that no browser runs, from where it is put into the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from earmark.benchmark.webpage.charts import library

_TEMPLATES = Path(__file__).parent / "templates"
_STYLES = ("page", "table", "parts")
_SCRIPTS = ("elements", "state", "grid", "details", "picture", "charts", "series", "codecs", "main")


def html_of(content: Mapping[str, Any], *, title: str, synthetic: bool) -> str:
    """The whole page. content: plain JSON values, as `webpage/run.py` gathers them."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(_TEMPLATES),
    )  # fmt: skip
    style, script, charts = _style(), _script(), _inline(library())
    return environment.get_template("page.html").render(
        title=title,
        synthetic=synthetic,
        policy=policy_of(scripts=(script, charts), styles=(style,)),
        style=Markup(style),
        script=Markup(script),
        charts=Markup(charts),
        content=Markup(json_for_html(content)),
        has_tasks=bool(content["tables"]),
        has_codecs=bool(content["codecs"]),
    )


def json_for_html(content: Any) -> str:
    """JSON that can stand inside a script element: no `<`, `>` or `&` of a text is left as it is.

    They can be inside strings only, where JSON has another way to write them.
    """
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def policy_of(scripts: tuple[str, ...], styles: tuple[str, ...]) -> str:
    """A Content-Security-Policy: these very scripts and styles, embedded pictures and sounds.

    Nothing is loaded, sent, framed or evaluated.
    """
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(map(_hash, scripts)),
        "style-src": " ".join(map(_hash, styles)),
        "img-src": "data:",
        "media-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _script() -> str:
    """The page's own script: its parts in the order in which they need each other."""
    parts = [_text(f"{name}.js") for name in _SCRIPTS]
    return _inline('"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n")


def _style() -> str:
    return "\n".join(_text(f"{name}.css") for name in _STYLES)


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """A script as it may stand inside a script element, which `</script` would end."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
