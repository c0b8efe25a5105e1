"""Deviations and maxima in the store: there where asked for, and old entries still readable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from earmark.benchmark.store import EmbeddingStore, ShardEmbeddings

KEY = "ab" * 32


def entry_of(*, spread: bool) -> ShardEmbeddings:
    rng = np.random.default_rng(0)
    return ShardEmbeddings(
        embeddings=rng.standard_normal((3, 4)).astype(np.float32),
        keys=["a", "b"],
        crops=[1, 2],
        failures=[],
        seconds=[1.0, 2.0],
        spread=rng.standard_normal((3, 2, 4)).astype(np.float32) if spread else None,
    )


def test_round_trip_and_only_where_it_is_asked_for(tmp_path: Path) -> None:
    store, entry = EmbeddingStore(tmp_path), entry_of(spread=True)
    store.put(KEY, entry)
    assert store.has(KEY)
    assert store.has(KEY, spread=True)
    found, plain = store.get(KEY, spread=True), store.get(KEY)
    assert found is not None and found.spread is not None and entry.spread is not None
    assert found.spread.dtype == np.float32
    assert np.array_equal(found.spread, entry.spread)
    assert np.array_equal(found.embeddings, entry.embeddings)
    assert plain is not None and plain.spread is None
    assert np.array_equal(plain.embeddings, entry.embeddings)


def test_an_entry_of_before_is_read_as_a_mean_and_made_anew_for_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of an older version: the same key, the same layout, without a spread."""
    store, old = EmbeddingStore(tmp_path), entry_of(spread=False)
    store.put(KEY, old)
    files = sorted(path.name for path in store.folder(KEY).iterdir())
    assert files == ["embeddings.npy", "manifest.json"]
    assert '"spread"' not in (store.folder(KEY) / "manifest.json").read_text()
    known = store.get(KEY)
    assert known is not None and np.array_equal(known.embeddings, old.embeddings)
    assert store.get(KEY, spread=True) is None
    assert not store.has(KEY, spread=True)
    assert capsys.readouterr().err == ""  # it is not damaged
    new = dataclasses.replace(old, spread=np.ones((3, 2, 4), np.float32))
    store.put(KEY, new)
    found = store.get(KEY, spread=True)
    assert found is not None and found.spread is not None and found.spread.sum() == 24


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 0.999])
def test_no_wrong_byte_of_a_spread_passes(
    tmp_path: Path, place: float, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EmbeddingStore(tmp_path)
    store.put(KEY, entry_of(spread=True))
    path = store.folder(KEY) / "spread.npy"
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    assert store.get(KEY, spread=True) is None
    assert "is damaged" in capsys.readouterr().err
    assert store.get(KEY) is not None  # the mean is whole
    store.put(KEY, entry_of(spread=True))
    assert store.get(KEY, spread=True) is not None


def test_a_spread_of_other_entries_is_not_taken(tmp_path: Path) -> None:
    store, other = EmbeddingStore(tmp_path), "cd" * 32
    store.put(KEY, entry_of(spread=True))
    store.put(
        other, dataclasses.replace(entry_of(spread=True), spread=np.zeros((3, 2, 4), np.float32))
    )
    (store.folder(KEY) / "spread.npy").write_bytes(
        (store.folder(other) / "spread.npy").read_bytes()
    )
    assert store.get(KEY, spread=True) is None
