"""Layers of an encoder as a line on the page."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from result_files import make_result
from webpage_files import page_of, write

from earmark.benchmark.webpage.charts import CHARTS
from earmark.benchmark.webpage.series import series_of


def test_layers_are_in_order_of_their_numbers_and_apart_by_encoder() -> None:
    columns = [
        "a:layer-10", "b", "a:layer-2", "x/mine.py:M(ckpt=1.pt):layer-1", "a:layer-2:permuted",
        "a:layer-0:permuted", "b:layer-1", "x/mine.py:M(ckpt=1.pt):layer-0", "a",
    ]  # fmt: skip
    assert series_of(columns) == [
        {"name": "a", "along": "layer", "points": [[2, 2], [0, 10]]},
        {"name": "x/mine.py:M(ckpt=1.pt)", "along": "layer", "points": [[7, 0], [3, 1]]},
        {"name": "a:permuted", "along": "layer", "points": [[5, 0], [4, 2]]},
    ]
    assert series_of(["a", "b:wide", "c:layer-3"]) == []


def test_the_page_holds_them_by_place_of_their_column(tmp_path: Path) -> None:
    for number, value in enumerate((0.25, 0.75, 0.5)):
        write(tmp_path, make_result(
            "esc50", value, encoder=f"mine:layer-{number}", fingerprint=f"layer{number}-print",
        ))  # fmt: skip
    text, content = page_of(tmp_path)
    (table,) = content["tables"]
    ((series),) = table["series"]
    assert series["name"] == "mine"
    named = {table["columns"][place]["name"]: number for place, number in series["points"]}
    assert named == {f"mine:layer-{number}": number for number in range(3)}
    assert 'id="seriesChart"' in text and "function drawSeries" in text


@pytest.mark.filterwarnings("ignore")
def test_the_picture_can_be_drawn_with_and_without_intervals() -> None:
    vl_convert = pytest.importorskip("vl_convert")
    spec = copy.deepcopy(CHARTS["series"])
    rows = [
        {"encoder": name, "place": place, "value": value, "low": value - 0.1, "high": value + 0.1}
        for name in ("one", "two") for place, value in enumerate((0.2, 0.6, 0.4))
    ]  # fmt: skip
    for own in (spec, spec | {"layer": spec["layer"][1:]}):
        drawn = vl_convert.vegalite_to_svg({**own, "data": {"values": rows}})
        assert drawn.count('aria-roledescription="point"') == 6


def test_a_sweep_is_in_order_of_the_last_number_of_its_values() -> None:
    columns = [
        "Mine(ckpt=10k)", "Mine(ckpt=2k)", "logmel", "Mine(ckpt=2k):permuted",
        "Mine(ckpt=10k):permuted", "A(x=v2-step-3.5)", "A(x=v2-step-1)", "B(a=1, b=2)",
        "C(mode=max)", "C(mode=mean)", "D(ckpt=1):layer-0", "D(ckpt=1):layer-3",
    ]  # fmt: skip
    assert series_of(columns) == [
        {"name": "Mine", "along": "ckpt", "points": [[1, 2000], [0, 10_000]]},
        {"name": "Mine:permuted", "along": "ckpt", "points": [[3, 2000], [4, 10_000]]},
        {"name": "A", "along": "x", "points": [[6, 1], [5, 3.5]]},
        {"name": "D(ckpt=1)", "along": "layer", "points": [[10, 0], [11, 3]]},
    ]
