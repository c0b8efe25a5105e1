"""`--layer all --readout all`: the best of the grid is a column of its own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save

import earmark
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.table import READOUT
from earmark.benchmark.leaderboard.to_json import to_json
from earmark.benchmark.leaderboard.to_markdown import to_markdown

Toy = Callable[..., tuple[Path, Path]]
ASKED = ["mean+std", "max"]


@pytest.fixture
def settings(toy: Toy, tmp_path: Path) -> dict[str, Any]:
    task, data = toy({"train": 40, "valid": 20, "test": 30})
    save("hubert-large", tmp_path / "weights")
    return {
        "tasks": str(task), "data": data, "results": tmp_path / "r", "cache": tmp_path / "c",
        "weights": tmp_path / "weights", "device": "cpu",
    }  # fmt: skip


def test_it_is_chosen_from_the_layers_results(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = {**settings, "layer": "all", "readouts": ASKED}
    *layers, best = earmark.evaluate("hubert-large", control=["labels", "permuted"], **grid)
    del layers  # controls come last; what is asked for without them is used again
    *layers, best = earmark.evaluate("hubert-large", **grid)
    names = [result.encoder.name for result in layers]
    head = names[0].partition(":")[0]
    assert names == [f"{head}:layer-{number}" for number in range(4)]
    assert best.encoder.name == f"{head}:layer-best"
    assert best.error is None
    by_layer = {name.rpartition(":")[2]: result for name, result in zip(names, layers, strict=True)}
    losses = {
        f"{layer} {one.readout}": one.losses["test"]
        for layer, result in by_layer.items()
        for one in result.scores["linear"].readouts or ()
        if one.readout != "best"
    }
    assert len(losses) == 4 * 3
    mean, whole = best.scores["linear"].readouts or ()
    assert losses[whole.chosen["test"]] == min(losses.values())
    of_means = {name: loss for name, loss in losses.items() if name.endswith(" mean")}
    assert of_means[mean.chosen["test"]] == min(of_means.values())
    chosen = by_layer[mean.chosen["test"].split()[0]].scores["linear"]
    assert best.scores["linear"].value == chosen.value
    # nothing is computed twice: not its own cell, and no audio
    *_, again = earmark.evaluate("hubert-large", **grid)
    assert again.run == best.run and again.scores == best.scores
    # tables, JSON and page have it as they have any column
    board, unreadable = Leaderboard.from_folder(tmp_path / "r", cache=tmp_path / "c")
    assert unreadable == []
    (row,) = board.tables[0].rows
    column = f"{head}:layer-best"
    assert row.cell(column, "linear").value == best.scores["linear"].value
    assert row.cell(column, READOUT).value == whole.value
    assert f"{column}:permuted" in row.cells and column in row.controls
    text = to_markdown(board)
    assert column in text
    assert f"{column}: in each fold the hidden layer with the least validation loss" in text
    assert f'"{column}"' in to_json(board)
    page = tmp_path / "page.html"
    folders = ["--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")]
    assert main(["report", *folders, "--out", str(page)]) == 0
    assert column in page.read_text()
    # its command makes it again
    assert "--encoder hubert-large:layer-all" in best.command
    words = shlex.split(best.command)[2:]
    folders = ["--results", str(tmp_path / "again"), "--cache", str(tmp_path / "c")]
    assert main([*words, *folders]) == 0
    (made,) = (tmp_path / "again").rglob("*layer-best*/strict/toy.json")
    assert json.loads(made.read_text())["scores"]["linear"]["value"] == chosen.value
    capsys.readouterr()


def test_there_is_none_where_no_grid_is_asked_for(settings: dict[str, Any]) -> None:
    plain = earmark.evaluate("hubert-large", layer="all", **settings)
    assert len(plain) == 4
    one = earmark.evaluate("hubert-large", layer=2, readouts=ASKED, **settings)
    assert len(one) == 1
