"""The leaderboard on a terminal, whatever the number of encoders: all there, nothing too wide."""

from __future__ import annotations

import io
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paired_cells import class_predictions, write_cell
from reconstruction_files import make_result as make_codec
from result_files import make_result
from rich.console import Console

from earmark.benchmark.cli.main import main
from earmark.benchmark.io.terminal import wrap
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_terminal import to_terminal
from earmark.benchmark.reconstruction.formats import to_terminal as codecs_to_terminal
from earmark.benchmark.reconstruction.leaderboard import make_tables
from earmark.benchmark.result.schema import RunResult
from earmark.tasks import builtin_tasks

names = st.text(string.ascii_letters + string.digits + "-_/.:@ ", min_size=1, max_size=40)
TITLES = ("Short", "A Title of a Task With Forty Characters.")


def shown(board: Leaderboard, width: int) -> list[str]:
    stream = io.StringIO()
    to_terminal(board, Console(file=stream, width=width, highlight=False))
    return stream.getvalue().splitlines()


def bare(text: str) -> str:
    return "".join(text.split())


def pages(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Each table of tasks, from the first line of its head to the empty line after its rows."""
    found, probe = [], ""
    for number, line in enumerate(lines):
        if line.startswith(("linear probe: ", "kNN: ")):
            probe = line.partition(":")[0]
        if line.startswith("task "):
            start = max(n for n in range(number) if not lines[n].strip()) + 1
            end = next(n for n in range(number, len(lines)) if not lines[n].strip())
            found.append((probe, lines[start:end]))
    return found


def cells_of(page: list[str]) -> dict[tuple[str, str], str]:
    """(encoder, task) -> cell, by where columns start; names without their spaces."""
    (base,) = [line for line in page if line.startswith("task ")]
    head, rows = page[: page.index(base) + 1], page[page.index(base) + 1 :]
    metric = base.index("metric")
    rows = [line for line in rows if line.startswith("  ")]  # not the domains
    firsts = [line for line in rows if line[metric:].strip()]
    starts = sorted({match.start() for line in firsts for match in re.finditer(r"(?<=  )\S", line)})
    starts = [start for start in starts if start > metric]
    ends = [*starts[1:], None]
    encoders = [
        bare("".join(line[start:end] for line in head))
        for start, end in zip(starts, ends, strict=True)
    ]
    cells = {}
    for number, line in enumerate(rows):
        if line in firsts:
            title = line[:metric]
            for after in rows[number + 1 :]:
                if after in firsts:
                    break
                title += after
            for encoder, start, end in zip(encoders, starts, ends, strict=True):
                cells[encoder, bare(title)] = line[start:end].strip()
    return cells


def board_of(
    encoders: Sequence[str], wide: bool, failing: bool
) -> tuple[Leaderboard, dict[Any, str]]:
    """Two tasks by two probes, every score another; and the text of each cell."""
    results: list[RunResult] = []
    cells = {}
    for number, encoder in enumerate(encoders):
        for task, title in enumerate(TITLES):
            linear, knn = (0.1 + 0.004 * (4 * number + 2 * task + probe) for probe in range(2))
            error = "no shards" if failing and task and number % 3 == 1 else None
            results.append(
                make_result(
                    f"t{task}", linear, knn, encoder=encoder, title=title, error=error,
                    domain=("speech", "music")[task], fingerprint=f"f{number}",
                    interval=[0.05, 0.95] if wide else None,
                )
            )  # fmt: skip
            for probe, value in (("linear probe", linear), ("kNN", knn)):
                interval = " [.050 .950]" if wide else ""
                text = "failed" if error else f"{value:.3f}{interval}"
                cells[probe, bare(encoder), bare(title)] = text
    return Leaderboard(results), cells


@settings(max_examples=40, deadline=None)
@given(
    st.lists(names.filter(str.strip), min_size=2, max_size=12, unique_by=bare),
    st.integers(80, 200),
    st.booleans(),
    st.booleans(),
)
def test_every_cell_is_whole_under_its_encoder_and_no_line_too_wide(
    encoders: list[str], width: int, wide: bool, failing: bool
) -> None:
    board, cells = board_of(encoders, wide, failing)
    lines = shown(board, width)
    assert max(map(len, lines)) <= width
    found: dict[Any, str] = {}
    for probe, page in pages(lines):
        for key, text in cells_of(page).items():
            assert (probe, *key) not in found
            found[probe, *key] = text.replace("*", "")
    assert found == cells


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_all_tasks_and_published_columns(count: int, width: int) -> None:
    """Names as long as they come, of 22 tasks; published columns have names of up to 90."""
    results = [
        make_result(
            spec.name, 0.5, 0.5 if "knn" in spec.probes else None, domain=spec.domain,
            title=spec.title, weight=spec.weight, interval=[0.4, 0.6], protocol="xares-0.1.3",
            encoder=f"some-research-lab/an-encoder-of-ours-{number:03}", fingerprint=f"f{number}",
        )
        for number in range(count)
        for spec in list(builtin_tasks().values())
    ]  # fmt: skip
    for result in results:
        result.task.metric = builtin_tasks()[result.task.name].metric
        for score in result.scores.values():
            score.items = 100_000  # not a sample of the data set
    board = Leaderboard(results)
    scores = sum(len(result.scores) for result in results)
    for published in (False, True):
        lines = shown(board.with_published(["all"]) if published else board, width)
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert len(re.findall(r"0\.500\*? \[\.400 \.600\]", text)) == scores
        assert "\u2026" not in text
        assert text.count("weighted mean") >= 1
    assert text.count("0.964") >= 1  # dasheng-base on ASV2015, as the README of X-ARES has it


def test_pages_say_which_encoders_they_hold_and_means_come_first() -> None:
    """c has both tasks, 0.6 on average; a too, 0.5; b one alone, 0.9: by hand."""
    results = [
        make_result("s", 0.3, encoder="a" * 30, domain="speech", weight=3),
        make_result("m", 0.7, encoder="a" * 30, domain="music"),
        make_result("s", 0.9, encoder="b" * 30, domain="speech", weight=3),
        make_result("m", 0.8, encoder="c" * 30, domain="music"),
        make_result("s", 0.4, encoder="c" * 30, domain="speech", weight=3),
        make_result("s", encoder="d" * 30, domain="speech", error="no shards", weight=3),
    ]
    lines = shown(Leaderboard(results), 80)
    titles = [line for line in lines if line.startswith("linear probe: ")]
    common = "linear probe: real data, protocol strict, 5 seeds, "
    assert titles == [common + "means", common + "encoders 1-2 of 4", common + "encoders 3-4 of 4"]
    head = next(n for n, line in enumerate(lines) if line.startswith("no.  encoder"))
    assert lines[head - 1].split() == ["speech", "music", "all", "weighted"]
    assert lines[head].split() == ["no.", "encoder", *["of", "1"] * 2, *["of", "2"] * 2]
    assert [line.split() for line in lines[head + 1 : head + 5]] == [
        ["1", "c" * 30, "0.400", "0.800", "0.600", "0.500"],  # (3 * 0.4 + 0.8) / 4
        ["2", "a" * 30, "0.300", "0.700", "0.500", "0.400"],  # (3 * 0.3 + 0.7) / 4
        ["3", "b" * 30, "0.900", "none", "0.900", "(1)", "0.900", "(1)"],
        ["4", "d" * 30, "none", "none", "none", "none"],
    ]
    assert ["".join(head[:1] for head in encoders_of(page)) for _, page in pages(lines)] == [
        "ca", "bd",
    ]  # fmt: skip
    narrow = " ".join(" ".join(shown(Leaderboard(results[:4]), 50)).split())
    assert re.findall(r"encoder (\d) of 3", narrow) == ["1", "2", "3"]


def encoders_of(page: list[str]) -> list[str]:
    return list(dict.fromkeys(encoder for encoder, _ in cells_of(page)))


def test_what_fits_is_one_table_in_the_order_given() -> None:
    board = Leaderboard([make_result("a", v, encoder=e) for e, v in (("x", 0.1), ("y", 0.9))])
    lines = shown(board, 80)
    assert not any("means" in line or "encoders" in line for line in lines if "probe" in line)
    assert [encoders_of(page) for _, page in pages(lines)] == [["x", "y"]]


def test_the_best_is_marked_where_bold_cannot_be_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interval(result: RunResult) -> None:
        result.scores["linear"].interval = [0.05, 0.95]

    for name, right in (("x", np.arange(40) < 4), ("y", np.arange(40) < 36)):
        write_cell(tmp_path, class_predictions(right, np.arange(40)), name, change=interval)
    assert main(["leaderboard", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert re.search(r"accuracy +0\.100 \[\.050 \.950\] +0\.900\* \[\.050 \.950\]", out)
    assert "  bold and *: the best of a row" in out


def test_what_files_hold_does_not_steer_the_terminal() -> None:
    evil = "\x1b[2Jx\ny\ud800"
    lines = shown(Leaderboard([make_result("a", encoder=evil, title=evil, error=evil)]), 80)
    text = "\n".join(lines)
    assert "\x1b" not in text and "\ud800" not in text
    assert "\\x1b[2Jx\\ny\\ud800" in text


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(2, 40))
def test_a_folded_name_is_whole(name: str, width: int) -> None:
    console = Console(width=200, file=io.StringIO())
    folded = wrap(name, width).split("\n")
    assert bare("".join(folded)) == bare(name)
    assert all(console.measure(line).maximum <= width for line in folded if line.isprintable())


def test_names_are_folded_where_words_end() -> None:
    assert wrap("hubert-large-of-mine:layer-12", 17) == "hubert-large-of-\nmine:layer-12"
    assert wrap("abcdefghij", 4) == "abcd\nefgh\nij"
    assert wrap("two words", 9) == "two words"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(names.filter(str.strip), min_size=1, max_size=12, unique_by=bare),
    st.integers(80, 200),
)
def test_codecs_are_all_there_and_no_line_too_wide(codecs: list[str], width: int) -> None:
    values = {
        name: {"pesq_wb": 1 + number / 10, "si_sdr": 99.99 - number, "mel_distance_16k": 5.5}
        for number, name in enumerate(codecs)
    }
    results = [
        make_codec(name, own, fingerprint=f"f{number}")
        for number, (name, own) in enumerate(values.items())
    ]
    stream = io.StringIO()
    codecs_to_terminal(make_tables(results), Console(file=stream, width=width, highlight=False))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for number, name in enumerate(codecs):
        assert (
            text.count(f"{1 + number / 10:.3f} [{0.9 + number / 10:.3f}".replace("[0.", "[.")) == 1
        )
        assert text.count(f" {99.99 - number:.2f} [") == 1
        assert bare(name) in bare(text)


@pytest.mark.parametrize("width", [30, 80])
def test_a_codec_of_a_long_name_has_its_name_on_several_lines(width: int) -> None:
    name = "a-codec-whose-name-tells-what-it-was-trained-on/for-how-long/and-by-whom-it-was-trained"
    stream = io.StringIO()
    tables = make_tables([make_codec(name), make_codec("b")])
    codecs_to_terminal(tables, Console(file=stream, width=width, highlight=False))
    text = stream.getvalue()
    column = max(width // 2, 20)
    parts = [part for part in text.split("\n\n") if part.startswith("codec")]
    for part in parts:
        assert bare("".join(line[:column] for line in part.splitlines())).count(name) == 1
    assert text.count("4.000 [3.900 4.100]") == 2
    assert width < 80 or max(map(len, text.splitlines())) <= width
