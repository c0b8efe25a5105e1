"""Values that are kept: used while they are of these predictions, never trusted when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paired_cells import random_predictions, write_cell

import earmark.benchmark.uncertainty.values as module
from earmark.benchmark.uncertainty.cache import Values, key_of, load_values
from earmark.benchmark.uncertainty.values import values_of


def test_what_is_kept_is_used_and_is_that_of_these_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell(tmp_path, random_predictions("accuracy", 0))
    (first,) = values_of([cell], tmp_path / "c")
    assert isinstance(first, Values)
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_predictions", lambda _: pytest.fail("read again"))
        (again,) = values_of([cell], tmp_path / "c")
    assert isinstance(again, Values)
    np.testing.assert_array_equal(again.by_probe["knn"], first.by_probe["knn"])
    assert (again.items, again.count, again.sources) == (first.items, 24, 9)

    other = write_cell(tmp_path, random_predictions("accuracy", 5))  # over the first
    (values,) = values_of([other], tmp_path / "c")
    assert isinstance(values, Values)
    assert values.by_probe["linear"][0] == pytest.approx(other.scores["linear"].value)
    assert key_of([other]) != key_of([cell])


def test_a_damaged_or_unwritable_cache_makes_no_difference(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, random_predictions("accuracy", 0))
    (first,) = values_of([cell], tmp_path / "c")
    (file,) = (tmp_path / "c").rglob("*.values")
    file.write_bytes(file.read_bytes()[:100])
    assert load_values(tmp_path / "c", file.stem) is None
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "c", tmp_path / "file"):
        (again,) = values_of([cell], cache)
        assert isinstance(first, Values)
        assert isinstance(again, Values)
        np.testing.assert_array_equal(first.by_probe["linear"], again.by_probe["linear"])


def test_missing_and_damaged_predictions_are_told_in_a_line(tmp_path: Path) -> None:
    cells = [write_cell(tmp_path, random_predictions("accuracy", i), f"E{i}") for i in range(4)]
    paths = [cell.path.with_suffix(".predictions.npz") for cell in cells if cell.path is not None]
    paths[0].unlink()
    paths[1].write_bytes(b"PK")
    cells[2].path = None
    found = values_of(cells, tmp_path / "c")
    assert isinstance(found[3], Values)
    assert str(paths[0]) in str(found[0])
    assert found[1] == f"{paths[1]}: not what its result file names; run the task again"
    assert found[2] == "a result in memory: names no file of predictions"
    values_of(cells, tmp_path / "c")
    data = bytearray(paths[3].read_bytes())
    data[len(data) // 2] ^= 1  # what is kept does not stand for predictions that were changed
    paths[3].write_bytes(data)
    again = values_of(cells, tmp_path / "c")[3]
    assert again == f"{paths[3]}: not what its result file names; run the task again"
    paths[3].unlink()  # nor for those that are gone
    assert isinstance(values_of(cells, tmp_path / "c")[3], str)
