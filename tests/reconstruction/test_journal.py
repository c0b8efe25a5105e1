"""The journal: only clips that are whole are taken from it, to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clips import audio_bytes
from reconstruction_files import voice, write_clips
from reconstruction_runs import facts, run

from earmark.benchmark.reconstruction import codec as through
from earmark.benchmark.reconstruction.journal import Journal
from earmark.encoders import Codec

pytestmark = pytest.mark.usefixtures("quick")


def test_a_run_that_was_interrupted_is_taken_up_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_clips(tmp_path / "data", 5, 0.5)
    (whole,) = run(tmp_path / "whole", "mulaw", data)
    calls: list[int] = []
    plain = through.round_trip

    def counted(codec: Codec, samples: Any, device: str) -> Any:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(len(samples))
        return plain(codec, samples, device)

    monkeypatch.setattr("earmark.benchmark.reconstruction.measure.round_trip", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", "mulaw", data)
    (journal,) = (tmp_path / "cut" / "cache" / "reconstruction" / "journals").rglob("*.jsonl")
    kept = journal.read_bytes().count(b"\n")
    journal.write_bytes(journal.read_bytes() + b'{"clip": "half a li')  # as a kill may leave it
    assert list((tmp_path / "cut" / "cache" / "reconstruction" / "scratch").iterdir()) == []
    calls.clear()
    monkeypatch.setattr(
        "earmark.benchmark.reconstruction.measure.round_trip",
        lambda codec, samples, device: (calls.append(1), plain(codec, samples, device))[1],
    )
    (again,) = run(tmp_path / "cut", "mulaw", data)
    assert len(calls) == 5 - kept
    assert facts(again) == facts(whole)
    calls.clear()
    (third,) = run(tmp_path / "cut", "mulaw", data)
    assert calls == []
    assert facts(third) == facts(whole)
    # other bytes under the same name are measured anew
    (data / "s0-0.wav").write_bytes(audio_bytes(voice(0.5, 9), 16_000))
    (fourth,) = run(tmp_path / "cut", "mulaw", data)
    assert len(calls) == 1
    assert fourth.data.digest != whole.data.digest
    assert fourth.comparable != whole.comparable


def test_a_journal_knows_only_what_is_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"codec": "a"})
    journal.add("whole", 1, 2, {"seconds": 1.0})
    journal.add("half", 1, 2, {"seconds": 3.0})
    assert journal.of("whole") is None
    journal.add("whole", 0, 2, {"seconds": 2.0})
    with journal.path.open("ab") as file:
        file.write(b'[1]\n{"clip": "torn", "crop": 0, "cr')
    again = Journal(tmp_path, {"codec": "a"})
    again.add("more", 0, 1, {"seconds": 4.0})  # on a line of its own
    for known in (again, Journal(tmp_path, {"codec": "a"})):
        assert [entry["seconds"] for entry in known.of("whole") or []] == [2.0, 1.0]
        assert [entry["seconds"] for entry in known.of("more") or []] == [4.0]
        for clip in ("half", "torn", "never"):
            assert known.of(clip) is None
    assert Journal(tmp_path, {"codec": "b"}).of("whole") is None
    assert Journal(tmp_path, {"codec": "a"}, fresh=True).of("whole") is None
