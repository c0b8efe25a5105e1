"""Hashes that are kept: not made again, not believed when damaged, the same by any threads."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import clip_members, write_tar
from planted import audit, counts, noise, planted

from earmark import audit_tasks
from earmark.benchmark.audit import shard_hashes as hashed_shards
from earmark.benchmark.result.audit_report import AuditRun

Toy = Callable[..., tuple[Path, Path]]


def refuse(data: bytes) -> Any:
    raise AssertionError("decoded though its hash is known")


def test_what_was_hashed_is_not_decoded_again(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = clip_members("r905-broken", b"RIFF of nothing", {"label": "low"})
    task, data = toy(shards=2, extra={"train": [*planted("r9-a", noise(1)), *broken]})
    first = audit(task, data, tmp_path / "r")
    (file,) = (tmp_path / "r" / "audits").iterdir()
    written = file.read_bytes(), file.stat().st_mtime_ns
    monkeypatch.setattr(hashed_shards, "hash_audio", refuse)
    moved = shutil.copytree(data, tmp_path / "elsewhere")
    for place in (data, moved):
        again = audit(task, place, tmp_path / "r")
        assert again == first
    assert (file.read_bytes(), file.stat().st_mtime_ns) == written


def test_a_damaged_cache_is_not_believed(toy: Toy, tmp_path: Path) -> None:
    both = planted("r900-a", noise(1))
    task, data = toy(extra={"train": both, "test": both})
    first = audit(task, data, tmp_path / "r")
    notes = sorted((tmp_path / "cache" / "audio-hashes").rglob("*.note"))
    assert len(notes) == 3
    for number, note in enumerate(notes):
        text = note.read_text()
        head, _, content = text.partition("\n")
        known = json.loads(content)
        (_, values), *_ = known["hashes"].items()
        values[0] = "0" * 64
        note.write_text(f"{head}\n{json.dumps(known)}" if number else text[: len(text) // 2])
    again = audit(task, data, tmp_path / "r")
    assert again == first


def test_a_killed_audit_loses_one_shard(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, data = toy({"train": 30, "valid": 6, "test": 6}, shards=3)  # 10, 2 and 2 a shard
    done = []
    whole = hashed_shards.hash_audio

    def counting(data: bytes, *, until: int) -> Any:
        if len(done) == until:
            raise KeyboardInterrupt
        done.append(1)
        return whole(data)

    monkeypatch.setattr(hashed_shards, "hash_audio", lambda data: counting(data, until=25))
    with pytest.raises(KeyboardInterrupt):
        audit(task, data, tmp_path / "r", workers=1)
    done.clear()
    monkeypatch.setattr(hashed_shards, "hash_audio", lambda data: counting(data, until=99))
    assert audit(task, data, tmp_path / "r", workers=1).counts == counts(clips=42)
    assert len(done) == 42 - 20  # the third shard was in hand


def test_threads_change_nothing(toy: Toy, tmp_path: Path) -> None:
    task, data = toy(shards=3, extra={"train": planted("r9-a", noise(1))})
    found = []
    for workers in (1, 7):
        finding = audit(
            task, data, tmp_path / f"r{workers}", cache=tmp_path / f"c{workers}", workers=workers
        )
        finding.run = AuditRun()
        found.append(finding)
    assert found[0] == found[1]


def test_large_files_are_held_one_at_a_time(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, data = toy({"train": 12, "valid": 4, "test": 4})
    whole = hashed_shards.hash_audio
    holding, most = [0], [0]

    def watching(audio: bytes) -> Any:
        holding[0] += 1
        most[0] = max(most[0], holding[0])
        time.sleep(0.01)
        holding[0] -= 1
        return whole(audio)

    monkeypatch.setattr(hashed_shards, "hash_audio", watching)
    audit(task, data, tmp_path / "r", workers=6)
    assert most[0] > 1
    most[0] = 0
    monkeypatch.setattr(hashed_shards, "_FILES_HELD", 9000)  # fewer bytes than any clip has
    audit(task, data, tmp_path / "r", workers=6, cache=tmp_path / "other")
    assert most[0] == 1


def test_a_shard_replaced_meanwhile_is_not_taken_for_the_other(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, data = toy({"train": 4, "valid": 4, "test": 4})
    whole = hashed_shards.hash_audio

    def replacing(audio: bytes) -> Any:
        write_tar(data / "toy" / "valid-000.tar", planted("r1-a", noise(1)))
        return whole(audio)

    monkeypatch.setattr(hashed_shards, "hash_audio", replacing)
    (finding,) = audit_tasks(str(task), data=data, results=tmp_path / "r", workers=1)
    assert "valid-000.tar was replaced meanwhile; audit it again" in str(finding.error)
    assert not (tmp_path / "r" / "audits").exists()
