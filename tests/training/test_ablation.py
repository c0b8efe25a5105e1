"""The ablation: trained in miniature, and its table against the result files that it rests on."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from reconstruction_files import InThisProcess

from earmark.benchmark.cli.main import main
from earmark.encoders.dasheng.training.history import History

ENCODER = """\
stage: semantic
steps: 2
batch: 2
crop_seconds: 0.32
model: {embed_dim: 16, depth: 1, num_heads: 2}
masked: {embed_dim: 16, depth: 1, num_heads: 2}
"""
INJECTION = """\
stage: injection
steps: 2
batch: 2
crop_seconds: 0.32
model: {n_mels_patch: 32, decoder_embed_dim: 16, decoder_depth: 1, decoder_intermediate_size: 32,
  istft_n_fft: 640, istft_hop: 160, upsample_tokens: 4}
losses: {mel: {windows: [256], bands: [20]}, adversarial: 0, feature_matching: 0}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child processes and no pictures of losses: both have tests of their own."""
    monkeypatch.setattr("earmark.benchmark.reconstruction.run.Workers", InThisProcess)
    monkeypatch.setattr(History, "draw", lambda self, path: True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: what one test has trained and measured the next finds there."""
    tmp_path = tmp_path_factory.mktemp("ablation")
    rng = np.random.default_rng(3)
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            tone = 0.3 * np.sin(np.arange(16_000) * (0.1 + 0.05 * number))
            soundfile.write(
                tmp_path / folder / f"{number}.wav", tone + 0.05 * rng.normal(size=16_000), 16_000
            )
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "encoder.yaml").write_text(ENCODER)
    (tmp_path / "configs" / "injection.yaml").write_text(INJECTION)
    return tmp_path


def ablation(place: Path, *more: str) -> int:
    return main([
        "ablation", "--config", str(place / "configs"), "--data", str(place / "train"),
        "--test", str(place / "test"), "--twins", "vocalsound", "--limit", "8",
        "--out", str(place / "out"), "--cache", str(place / "cache"), "--threads", "1", *more,
    ])  # fmt: skip


def test_the_table_is_what_the_result_files_say_and_a_second_run_trains_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablation(place) == 0
    shown = capsys.readouterr().out
    with (place / "out" / "ablation.csv").open(newline="") as file:
        table = {row["latent"]: row for row in csv.DictReader(file)}
    assert list(table) == ["logmel", "semantic", "acoustic", "unified"]
    for name, row in table.items():
        files = [json.loads(p.read_text()) for p in (place / "out/results" / name).rglob("*.json")]
        probed = [one for one in files if "scores" in one and "task" in one]
        assert {one["task"]["name"] for one in probed} == {"vocalsound"}
        for probe in ("linear", "knn"):
            mean = np.mean([one["scores"][probe]["value"] for one in probed])
            assert float(row[f"twins {probe}"]) == pytest.approx(mean, abs=1e-9)
        decoded = [one for one in files if "codec" in one]
        if name == "logmel":
            assert decoded == [] and row["mel distance"] == ""
            continue
        (one,) = decoded
        encoder = "dasheng" if name == "unified" else f"dasheng:{name}"
        (named,) = {one["codec"]["name"], *(p["encoder"]["name"] for p in probed)}
        # the sizes are not those of the released model
        assert re.sub("@config-[0-9a-f]{8}", "", named) == encoder != named
        assert one["codec"]["spec"].endswith(f"--weights {place / 'out' / name}")
        for metric, title in (("mel_distance_16k", "mel distance"), ("stoi", "STOI")):
            value = one["scores"][metric]["value"]
            assert value is None or float(row[title]) == pytest.approx(value, abs=1e-9)
        assert f"| {name} |" in shown
    # each latent's own decoder: no two of them decode alike
    distances = {row["mel distance"] for name, row in table.items() if name != "logmel"}
    assert len(distances) == 3

    kept = ("model.safetensors", "run.json", "losses.csv")
    before = {path: path.read_bytes() for name in kept for path in (place / "out").rglob(name)}
    assert len(before) == 3 + 4 + 4
    assert ablation(place) == 0
    assert capsys.readouterr().out == shown
    assert {path: path.read_bytes() for path in before} == before


def test_a_task_that_fails_leaves_no_mean_and_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Path("tests/data/fsdd.yaml").resolve()
    assert ablation(place, "--tasks", str(task), "--task-data", str(place / "train")) == 3
    with (place / "out" / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row.get("fsdd linear", "") == "" for row in rows)
    assert all(not math.isnan(float(row["twins linear"])) for row in rows)
    assert "failed  unified · fsdd: " in capsys.readouterr().err


def test_a_config_that_is_not_there_is_found_before_anything_is_trained(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "encoder.yaml").write_text(ENCODER)
    assert ablation(place, "--config", str(tmp_path), "--out", str(tmp_path / "out")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "injection.yaml cannot be read: No such file" in line
    assert not (tmp_path / "out").exists()
