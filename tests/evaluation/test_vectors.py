"""Encoders of one vector a clip, of scenes and of bounded lengths through a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from frame_tasks import make_task, write_task
from result_files import make_result

import earmark
from earmark import AudioEncoder, Frames
from earmark.benchmark.cli.main import main
from earmark.benchmark.comparison.run import compare
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_csv import to_csv
from earmark.benchmark.leaderboard.to_json import to_json
from earmark.benchmark.leaderboard.to_latex import to_latex
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.webpage.run import report

REASON = "one vector a clip, no frames in time"
KINDS = ("events", "captions", "transcript", "gender")
FILE = '''
import torch
from earmark import AudioEncoder, Frames


class Spectra(AudioEncoder):
    """The mean spectrum of what it is given, in 64 bands: one vector."""

    sample_rate, embedding_dim, frame_rate = 16_000, 64, None

    def encode(self, waveforms, lengths):
        power = torch.stft(waveforms, 512, 256, window=torch.hann_window(512), return_complex=True)
        bands = power.abs()[:, :256].reshape(len(waveforms), 64, 4, -1).mean(dim=(2, 3))
        return Frames(bands.add(1e-4).log()[:, None], torch.ones_like(lengths))


class Windowed(Spectra):
    fixed_seconds = 1.2


class Both(Spectra):
    """The same as its scene, and frames of half the size."""

    embedding_dim, frame_rate, scene_dim = 32, 25.0, 64

    def encode(self, waveforms, lengths):
        counts = (lengths // 640).clamp(min=1)
        wide = torch.nn.functional.pad(waveforms, (0, 640))[:, : int(counts.max()) * 640]
        power = torch.fft.rfft(wide.reshape(len(wide), -1, 640)).abs()[..., :320]
        return Frames(power.reshape(*power.shape[:2], 32, 10).mean(3).add(1e-4).log(), counts)

    def encode_scene(self, waveforms, lengths):
        return Spectra.encode(self, waveforms, lengths).values[:, 0]
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    for kind in KINDS[:3]:
        make_task(folder, kind)
    write_task(folder, "gender", data="transcript")
    (folder / "mine.py").write_text(FILE)
    return folder


@pytest.fixture(scope="module")
def results(place: Path) -> dict[tuple[str, str], earmark.RunResult]:
    settings: dict[str, Any] = {
        "data": place / "data", "results": place / "results", "cache": place / "cache",
        "device": "cpu", "seeds": 1, "readouts": ["max", "mean+std"],
    }  # fmt: skip
    found = []
    for names, kinds in ((("Spectra", "Windowed"), KINDS), (("Both",), ("events", "gender"))):
        encoders = [f"{place}/mine.py:{name}" for name in names]
        found += earmark.evaluate(encoders, [f"{place}/{kind}.yaml" for kind in kinds], **settings)
    return {(result.encoder.name, result.task.name): result for result in found}


def test_tasks_by_frames_are_not_applicable_and_the_others_scored(results: Any) -> None:
    for name in ("Spectra", "Windowed"):
        for kind in KINDS:
            result = results[name, kind]
            by_frame = kind in ("events", "transcript")
            assert result.status == ("not applicable" if by_frame else "done"), result.error
            assert result.error == (REASON if by_frame else None)
            assert bool(result.scores) != by_frame
    assert {results["Both", kind].status for kind in ("events", "gender")} == {"done"}


def test_what_an_encoder_is_stands_in_its_results(results: Any) -> None:
    assert results["Spectra", "gender"].encoder.frame_rate is None
    windowed = results["Windowed", "captions"]
    assert windowed.encoder.fixed_seconds == 1.2
    # 1.0 to 1.6 s each, by the same numbers as the test that makes them
    clips = windowed.data.clips
    assert clips == 15 and windowed.data.padded_clips + windowed.data.cut_clips == clips
    assert 0 < windowed.data.cut_clips < clips
    assert results["Spectra", "captions"].data.padded_clips is None
    assert results["Both", "gender"].encoder.scene_dim == 64


def test_one_vector_has_no_deviation_and_is_its_own_maximum(results: Any) -> None:
    for name in ("Spectra", "Windowed", "Both"):
        linear = results[name, "gender"].scores["linear"]
        by_name = {one.readout: one.value for one in linear.readouts}
        assert by_name["max"] == by_name["mean"]


def test_clip_tasks_rest_on_the_scene(results: Any) -> None:
    """The scene is what Spectra gives, so the scores are the same."""
    one, other = results["Spectra", "gender"], results["Both", "gender"]
    assert one.scores["linear"].value == other.scores["linear"].value
    assert one.encoder.fingerprint != other.encoder.fingerprint


def test_tables_say_so_and_means_are_without(place: Path, results: Any) -> None:
    board, unreadable = Leaderboard.from_folder(place / "results", cache=place / "cache")
    assert unreadable == []
    (table,) = board.tables
    (row,) = [row for row in table.rows if row.name == "events"]
    assert row.cell("Spectra", "linear").status == "not applicable"
    means = table.means("linear")["mean of all"]
    assert (means["Spectra"].tasks, means["Spectra"].of, means["Both"].tasks) == (2, 4, 2)
    own = [results["Spectra", kind].scores["linear"].value for kind in ("captions", "gender")]
    assert np.isclose(means["Spectra"].value, np.mean(own))
    note = f"not applicable to Spectra ({REASON}), and in none of its means: events, transcript"
    assert note in table.footnotes
    lengths = [note for note in table.footnotes if note.startswith("Windowed: clips are padded")]
    assert len(lengths) == 1 and "cut into windows of 1.2 s" in lengths[0]
    for form in (to_markdown, to_latex, to_csv):
        assert "not applicable" in form(board)
    rows = {row["task"]: row for row in json.loads(to_json(board))["tables"][0]["rows"]}
    cell = rows["events"]["cells"]["linear"]["Spectra"]
    assert cell == {"status": "not applicable", "value": None}


def test_the_page_says_so(place: Path, results: Any) -> None:
    made = report(place / "results", place / "page.html", cache=place / "cache")
    text = made.paths[0].read_text()
    assert "not applicable" in text and REASON in text


def test_a_comparison_says_which_tasks_do_not_apply(place: Path, results: Any) -> None:
    found = compare(
        results["Spectra", "gender"].encoder.name, "Both", results=place / "results",
        cache=place / "cache",
    )  # fmt: skip
    said = {one.task: one.reason for part in found for one in part.left_out}
    assert said["events"] == f"not applicable to Spectra: {REASON}"
    assert said["transcript"] == f"not applicable to Spectra: {REASON}"


def test_the_command_ends_well_and_says_it_once(
    place: Path, results: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([
        "run", "--encoder", f"{place}/mine.py:Spectra", "--tasks", f"{place}/events.yaml",
        "--data", str(place / "data"), "--results", str(place / "results"),
        "--cache", str(place / "cache"), "--device", "cpu", "--seeds", "1",
    ])  # fmt: skip
    shown = capsys.readouterr()
    assert status == 0
    assert f"no task Spectra · events: not applicable: {REASON}" in shown.err
    assert "not applicable" in shown.out


def test_a_result_of_before_is_read_as_it_was() -> None:
    old = make_result("a", 0.5)
    assert earmark.RunResult.from_json(old.to_json()).data.cut_clips is None
    assert "padded_clips" not in old.to_json() and "fixed_seconds" not in old.to_json()


class Steps(AudioEncoder):
    """Twice as many frames for a short clip as for a long one, each the loudness of its part."""

    name, sample_rate, embedding_dim, frame_rate = "steps", 16_000, 2, 50.0
    frame_rate_varies = True

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        rate = 40 if int(lengths[0]) < 20_000 else 20
        count = max(1, int(lengths[0]) * rate // 16_000)
        parts = torch.tensor_split(waveforms.abs(), count, dim=1)
        loud = torch.stack([part.mean(dim=1) for part in parts], dim=1)
        return Frames(torch.stack([loud, loud.square()], dim=2), torch.full_like(lengths, count))


def test_frames_of_a_rate_that_varies_are_scored_in_time(place: Path, tmp_path: Path) -> None:
    (result,) = earmark.evaluate(
        Steps(), f"{place}/events.yaml", data=place / "data", results=tmp_path / "r",
        cache=tmp_path / "c", device="cpu", seeds=1,
    )  # fmt: skip
    assert result.status == "done", result.error
    assert result.encoder.frame_rate_varies is True
