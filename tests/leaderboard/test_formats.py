"""The leaderboard as LaTeX and JSON: read back by other readers, and compiled."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker
from result_files import make_result

from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.leaderboard.to_json import to_json
from earmark.benchmark.leaderboard.to_latex import escape, to_latex
from earmark.tasks import builtin_tasks

XARES = "xares-0.1.3"
SECOND_HAND = "MiDashengLM + PCA (128-d) [pub, second-hand]"
SPECIAL = r"""a%b_c&d#e{f}~g^h\i<j>k$l|m"n'o`p -- --- [x] * @ !` ?`"""
BEYOND_ASCII = "é ü ñ ø Œ ß ł ě · – — … “x” ‘y’ × ± ≤ ≥ → µ λ ° 中文 \U0001f600"

compilers = [name for name in ("pdflatex", "lualatex", "tectonic") if shutil.which(name)]


def board_of(*names: str, **changes: Any) -> Leaderboard:
    """One task with an interval, one that failed; an encoder of each name."""
    results = []
    for name in names:
        results.append(make_result("a", 0.5, 0.25, encoder=name, interval=[0.4, 0.6], **changes))
        results.append(
            make_result("b", encoder=name, error="broken 100%", domain="music", **changes)
        )
    return Leaderboard(results)


def with_published() -> Leaderboard:
    spec = builtin_tasks()["esc50"]
    result = make_result(
        "esc50", 0.4, 0.6, protocol=XARES, seeds=1, title=spec.title, domain=spec.domain
    )
    return Leaderboard([result]).with_published(["all"])


# --------------------------------------------------------------------------------------- LaTeX


def tabulars(text: str) -> list[list[list[str]]]:
    """Cells, as text, of every line of every tabular, as a parser of LaTeX reads them."""
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    found = []
    for body in re.findall(r"\\begin\{tabular\}\{l+\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        body = re.sub(r"\\(top|mid|bottom)rule\n", "", body)
        lines = [line for line in body.split("\\\\\n") if line.strip()]
        cells = [re.split(r"(?<!\\)&", line) for line in lines]
        found.append([[plain(cell) for cell in line] for line in cells])
    floats = [node for node in nodes if isinstance(node, LatexEnvironmentNode)]
    assert len(floats) == len(found)
    assert {node.environmentname for node in floats} == {"table"}
    return found


def plain(latex: str) -> str:
    """LaTeX as text, by a library. Its `\\multicolumn` is one cell."""
    latex = re.sub(r"\\multicolumn\{\d+\}\{l\}", "", latex)
    latex = re.sub(r"\\shortstack\[l\]\{(.*)\}", lambda head: head[1].replace("\\\\", " "), latex)
    return " ".join(LatexNodes2Text().latex_to_text(latex).split())


def test_latex_read_back_by_hand() -> None:
    (table, knn) = tabulars(to_latex(board_of("logmel", "mfcc")))
    assert table == [
        ["task", "metric", "logmel", "mfcc"],
        ["speech"],
        ["Task a", "accuracy", "0.500 [.400 .600]", "0.500 [.400 .600]"],
        ["music"],
        ["Task b", "accuracy", "failed", "failed"],
        ["mean of speech", "", "0.500 (1 of 1)", "0.500 (1 of 1)"],
        ["mean of music", "", "none of 1", "none of 1"],
        ["mean of all", "", "0.500 (1 of 2)", "0.500 (1 of 2)"],
        ["weighted mean", "", "0.500 (1 of 2)", "0.500 (1 of 2)"],
    ]
    assert ["Task a", "accuracy", "0.250 [.400 .600]", "0.250 [.400 .600]"] in knn


def best_and_worse() -> Leaderboard:
    """Two encoders, the second better; a published value, higher than both."""
    spec = builtin_tasks()["esc50"]
    results = [
        make_result(
            "esc50", value, protocol=XARES, seeds=1, title=spec.title, domain="sound",
            encoder=name, interval=[0.1, 0.7],
        )
        for name, value in (("worse", 0.25), ("better", 0.625))
    ]  # fmt: skip
    board = Leaderboard(results).with_published(["xares_readme"])
    board.tables[0].rows[0].best = {"linear": frozenset(["better"])}  # as if tested
    return board


def test_latex_has_the_best_of_a_row_in_bold_and_published_values_never() -> None:
    text = to_latex(best_and_worse())
    assert re.findall(r"\\textbf\{([0-9.]+)\}", text) == ["0.625"]
    assert r"0.250 {\scriptsize [.100 .700]} & \textbf{0.625} {\scriptsize [.100 .700]}" in text
    assert "& 0.857" in text


def test_json_tells_the_best_of_a_row() -> None:
    (table,) = read_json(best_and_worse())["tables"]
    cells = table["rows"][0]["cells"]["linear"]
    assert {name: cell.get("best", "none") for name, cell in cells.items()} == {
        "worse": False, "better": True, "dasheng-base [pub]": "none", "whisper-base [pub]": "none",
        "wav2vec2-large-100k-voxpopuli [pub]": "none", "data2vec-audio-base [pub]": "none",
    }  # fmt: skip
    (alone,) = read_json(board_of("logmel"))["tables"]
    assert alone["rows"][0]["cells"]["linear"]["logmel"]["best"] is None


def test_latex_says_what_the_table_is_and_what_went_wrong() -> None:
    text = to_latex(board_of("logmel", synthetic=True, limit=20))
    (caption,) = [line for line in text.splitlines() if line.startswith(r"\caption{logmel")][:1]
    assert "SYNTHETIC data" in caption
    assert "LIMITED to 20 clips" in caption
    assert r"failed: b \textperiodcentered{} logmel: broken 100\%" in text
    assert r"\usepackage{booktabs,graphicx}" in text.splitlines()[0]


def test_latex_spreads_many_columns_over_tables() -> None:
    names = [f"encoder-{i}" for i in range(17)]
    results = [make_result("a", (i + 1) / 32, encoder=name) for i, name in enumerate(names)]
    found: dict[str, str] = {}
    for head, _, row, *_ in tabulars(to_latex(Leaderboard(results))):
        assert len(head) <= 12
        found |= zip(head[2:], row[2:], strict=True)
    assert found == {name: f"{(i + 1) / 32:.3f}" for i, name in enumerate(names)}


def test_latex_marks_published_columns() -> None:
    text = to_latex(with_published())
    heads = [cell for table in tabulars(text) for cell in table[0]]
    assert "dasheng-base [pub, xares_readme]" in heads
    assert SECOND_HAND in heads
    assert f"{SECOND_HAND}: LoSATok paper (arXiv 2605.27840)" in text


def test_nothing_is_taken_for_the_option_of_a_line_break() -> None:
    """A bracket or star that follows is one, be it on the next line."""
    for board in (
        board_of("[e]", "*e", title="[1] a"),
        board_of("e", title="* a"),
        with_published(),
    ):
        text = to_latex(board)
        assert "\\\\" in text
        after = r"(\s|\\midrule|\\bottomrule)*"
        assert not re.search(rf"(\\\\|\\toprule){after}[\[*]", text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\"'`")))
def test_escaped_text_is_read_as_it_was(text: str) -> None:
    """By a library's reader of LaTeX; white space aside."""
    written = LatexNodes2Text(keep_comments=True).latex_to_text(escape(text))
    alike = {"ˆ": "^", "˜": "~"}  # what that reader takes the two accents for
    assert written.translate(str.maketrans(alike)).split() == text.split()


@given(st.text())
def test_escaped_text_is_plain_and_balanced(text: str) -> None:
    written = escape(text)
    assert written.isascii()
    bare = re.sub(r"\\[{}$&#%_~]", "", written)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[&#%_~]|--", bare)
    assert bare.count("$") % 2 == 0
    assert written == escape(unicodedata.normalize("NFD", text))


def test_escape_by_hand() -> None:
    assert escape("100% a_b & {c}") == r"100\% a\_b \& \{c\}"
    assert escape("a\\b~c^d") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"
    assert escape("<a> | #1 $2") == r"$<$a$>$ $|$ \#1 \$2"
    assert escape("a · b\n\tc --d") == r"a \textperiodcentered{} b c -{}-d"
    assert escape("中é\x00") == r"(U+4E2D)\'{e}(U+0000)"


def compile_latex(text: str, place: Path, compiler: str) -> str:
    """The log of a document that holds the fragment; fails where it does not compile."""
    (place / "fragment.tex").write_text(text, encoding="utf-8")
    (place / "document.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\n"
        "\\input{fragment}\n\\end{document}\n"
    )
    options = [] if compiler == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [compiler, *options, "document.tex"], cwd=place, capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip
    log = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, log[-3000:]
    assert (place / "document.pdf").stat().st_size > 1000
    return log


@pytest.mark.parametrize("compiler", compilers or [None])
def test_latex_compiles(compiler: str | None, tmp_path: Path) -> None:
    if compiler is None:
        pytest.skip("no LaTeX is at hand: none of pdflatex, lualatex, tectonic")
    latin = "".join(map(chr, range(0xA0, 0x180)))
    awkward = [SPECIAL, BEYOND_ASCII, latin, "[bracket]", "*star", "--dash", "\\", "", "%"]
    board = board_of(*awkward, title="[1] * & %")
    log = compile_latex(to_latex(board), tmp_path, compiler)
    assert compiler != "pdflatex" or "Missing character" not in log  # others take their own fonts


@pytest.mark.parametrize("compiler", compilers[:1] or [None])
def test_latex_of_published_columns_compiles(compiler: str | None, tmp_path: Path) -> None:
    if compiler is None:
        pytest.skip("no LaTeX is at hand: none of pdflatex, lualatex, tectonic")
    compile_latex(to_latex(with_published()), tmp_path, compiler)


# ---------------------------------------------------------------------------------------- JSON


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def read_json(board: Leaderboard) -> dict[str, Any]:
    value = json.loads(to_json(board), parse_constant=refuse)
    assert value["schema"] == 1
    return dict(value)


def test_json_read_back_by_hand() -> None:
    (table,) = read_json(board_of("logmel"))["tables"]
    assert {key: table[key] for key in ("data", "protocol", "seeds", "limit")} == {
        "data": "real", "protocol": "strict", "seeds": 5, "limit": None,
    }  # fmt: skip
    assert table["caption"] == "real data, protocol strict, 5 seeds"
    assert table["columns"] == [{"name": "logmel", "published": None}]
    first, second = table["rows"]
    assert {key: first[key] for key in ("task", "title", "domain", "metric", "weight")} == {
        "task": "a", "title": "Task a", "domain": "speech", "metric": "accuracy", "weight": 1.0,
    }  # fmt: skip
    cell = first["cells"]["linear"]["logmel"]
    assert {key: cell[key] for key in ("status", "value", "interval", "confidence")} == {
        "status": "done", "value": 0.5, "interval": [0.4, 0.6], "confidence": 0.95,
    }  # fmt: skip
    assert (cell["items"], cell["sources"], cell["spread"]) == (50, 10, None)
    assert second["cells"] == {"linear": {"logmel": {"status": "failed", "value": None}}}
    assert table["means"]["linear"]["weighted mean"] == {
        "logmel": {"value": 0.5, "tasks": 1, "of": 2}
    }
    assert "failed: b · logmel: broken 100%" in table["notes"]


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=4), st.booleans())
def test_json_holds_full_precision_and_null_for_what_cannot_be_computed(
    values: list[float], synthetic: bool
) -> None:
    results = [
        make_result("a", value, encoder=f"e{i}", synthetic=synthetic)
        for i, value in enumerate(values)
    ]
    (table,) = read_json(Leaderboard(results))["tables"]
    assert table["data"] == ("synthetic" if synthetic else "real")
    for i, value in enumerate(values):
        expected = None if math.isnan(value) else value
        assert table["rows"][0]["cells"]["linear"][f"e{i}"]["value"] == expected
        assert table["means"]["linear"]["weighted mean"][f"e{i}"]["value"] == expected


def test_json_tells_published_columns_and_values() -> None:
    (table,) = read_json(with_published())["tables"]
    columns = {column["name"]: column["published"] for column in table["columns"]}
    assert columns["logmel"] is None
    assert columns[SECOND_HAND] == {
        "system": "MiDashengLM + PCA (128-d)", "source": "losatok_notes", "primary": False,
        "citation": "LoSATok paper (arXiv 2605.27840), read through third-party summaries",
    }  # fmt: skip
    cells = table["rows"][0]["cells"]["knn"]
    assert cells["dasheng-base [pub, xares_readme]"] == {"status": "published", "value": 0.618}
    assert cells[SECOND_HAND] == {
        "status": "not published",
        "value": None,
    }


# ------------------------------------------------------------------------------------- command


@pytest.mark.parametrize("form", ["latex", "json"])
def test_command_writes_these_forms(
    folder: Path,
    form: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["leaderboard", "--results", str(folder), "--format", form]
    assert main(words) == 3  # two files cannot be read
    out = capsys.readouterr().out
    for text in ("0.625", "0.875", "failed"):
        assert text in out
    assert main([*words, "--out", str(tmp_path / "board")]) == 3
    assert (tmp_path / "board").read_text(encoding="utf-8") == out


def test_every_form_shows_every_value() -> None:
    board = board_of("logmel", "mfcc")
    for form, write in FORMATS.items():
        text = write(board)
        assert text.endswith("\n"), form
        for part in ("logmel", "mfcc", "0.5", "0.25", "failed", "weighted mean"):
            assert part in text, form
