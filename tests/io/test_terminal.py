"""Tables that lose nothing where the terminal is narrow."""

from __future__ import annotations

import io
import itertools

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from earmark.benchmark.io.terminal import in_runs, print_table, printable, wrap


def cells_in(text: str) -> str:
    return "".join(text.split())


@given(
    st.lists(st.text("abc ", min_size=1, max_size=30), min_size=1, max_size=4),
    st.integers(10, 90),
    st.booleans(),
)
def test_nothing_is_lost_and_no_line_is_longer_than_it_must_be(
    words: list[str], width: int, breaks: bool
) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("t", no_wrap=not breaks, overflow="fold", min_width=6 if breaks else None)
    table.add_column("u", no_wrap=True)
    for word in words:
        table.add_row(word, "x" * 12)
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        print_table(table, console)
    lines = captured.get().splitlines()
    left = "".join(line[: line.index("x")] if "x" in line else line for line in lines[1:])
    assert sorted(cells_in(left)) == sorted(cells_in("".join(words)))
    assert sum("x" * 12 in line for line in lines) == len(words)
    first = 6 if breaks else max(map(len, words))
    assert max(map(len, lines)) <= max(width, first + 2 + 12)


def test_names_are_broken_after_what_parts_their_words() -> None:
    assert wrap("hubert-large:layer-12", 12) == "hubert-\nlarge:layer-\n12"
    assert wrap("speech_commands", 8) == "speech_\ncommands"
    assert wrap("unbreakable", 4) == "unbr\neaka\nble"
    assert wrap("音声認識", 4) == "音声\n認識"  # two columns each


@given(st.text(max_size=40), st.integers(2, 12))
def test_no_letter_is_lost_in_breaking(name: str, width: int) -> None:
    lines = wrap(name, width).split("\n")
    assert "".join("".join(lines).split()) == "".join(name.split())


@given(st.lists(st.integers(1, 30), max_size=12), st.integers(1, 40))
def test_runs_of_columns_fill_the_room_in_order(widths: list[int], room: int) -> None:
    runs = in_runs(widths, room)
    assert [number for run in runs for number in run] == list(range(len(widths)))
    for run in runs:
        assert len(run) == 1 or sum(widths[number] for number in run) <= room
    for run, following in itertools.pairwise(runs):  # none could have been longer
        assert sum(widths[number] for number in run) + widths[following[0]] > room


def test_what_would_steer_a_terminal_is_shown_as_its_escape() -> None:
    assert printable("a\x1b[31mb\nc\u202e") == r"a\x1b[31mb\nc\u202e"
    assert printable("Käse 音") == "Käse 音"
