"""The experiment of injection: in miniature end to end, and its intervals beside scipy's."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import soundfile
from reconstruction_files import InThisProcess
from training_files import DECODER, as_yaml
from training_files import INJECTION as SMALL

from earmark.benchmark.cli.main import main
from earmark.benchmark.training.injection_study import model_name, paired
from earmark.encoders.dasheng.training.config import LossesConfig, MelLossConfig
from earmark.encoders.dasheng.training.history import History


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earmark.benchmark.reconstruction.run.Workers", InThisProcess)
    monkeypatch.setattr(History, "draw", lambda self, path: True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Audio to train and to test on, and a config."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(3)
    for name in ("train", "test"):
        (folder / name).mkdir()
        for number in range(2):
            tone = 0.3 * np.sin(np.arange(16_000) * (0.1 + 0.05 * number))
            samples = tone + 0.05 * rng.normal(size=16_000)
            soundfile.write(folder / name / f"{number}.wav", samples, 16_000)
    losses = LossesConfig(
        mel=MelLossConfig(windows=(256,), bands=(20,)), adversarial=0, feature_matching=0
    )
    as_yaml(folder / "injection.yaml", replace(SMALL, model=DECODER, losses=losses))
    return folder


def clips(values, sources=None):
    keys = [f"{number:03d}" for number in range(len(values))]
    return pd.DataFrame({"key": keys, "crop": 0, "source": sources or keys, "pesq_wb": values})


def test_a_gain_over_clips_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    first, second = rng.normal(2.0, 0.4, 30), rng.normal(1.7, 0.3, 30)
    found = paired(clips(first), clips(second), "pesq_wb")
    test = scipy.stats.ttest_rel(first, second).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [test.low, test.high], rtol=1e-9)
    assert found.value == pytest.approx((first - second).mean())
    assert found.differs


def test_a_gain_over_speakers_counts_speakers():
    """Seven speakers of four clips each, all clips of a speaker alike: seven observations."""
    rng = np.random.default_rng(2)
    gaps = rng.normal(0.3, 0.2, 7)
    sources = [f"s{number // 4}" for number in range(28)]
    second = rng.normal(2.0, 0.1, 28)
    found = paired(clips(second + np.repeat(gaps, 4), sources), clips(second, sources), "pesq_wb")
    test = scipy.stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [test.low, test.high], rtol=1e-9)


def test_clips_without_a_value_are_left_out_and_few_sources_have_no_interval():
    first, second = clips([1.0, 2.0, np.nan, 4.0]), clips([0.5, np.nan, 1.0, 3.0])
    found = paired(first, second, "pesq_wb")
    assert (found.value, found.low, found.high) == (0.75, None, None)
    assert not found.differs


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ("dasheng-tiny:semantic", "dasheng-tiny-semantic-unified-2"),
        ("/a/b/my_file.py:Class", "my_file-Class-unified-2"),
    ],
)
def test_models_are_named_after_their_encoder(encoder, name):
    assert model_name(encoder, "unified", 2) == name


def test_the_whole_experiment(place, capsys):
    config, out = place / "injection.yaml", place / "study"
    command = [
        "ablation", "--into", "dasheng-tiny:semantic", "--config", str(config), "--seeds", "4",
        "--data", str(place / "train"), "--test", str(place / "test"), "--out", str(out),
        "--twins", "esc50", "--limit", "10", "--cache", str(place / "cache"),
        "--baseline", "mulaw", "--readout", "mean+std", "--device", "cpu",
    ]  # fmt: skip
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert (out / "injection.md").read_text() == shown
    for latent in ("semantic", "acoustic", "unified"):
        assert (out / f"dasheng-tiny-semantic-{latent}-4" / "injected.json").is_file()
    assert re.search(r"^\| dasheng-tiny:semantic \| 4 \| [+-]?0\.\d{3}", shown, re.MULTILINE)
    assert re.search(r"^\| dasheng-tiny:semantic \| permuted weights \| 0\.", shown, re.MULTILINE)
    assert re.search(r"^\| mulaw \|  \| \d\.", shown, re.MULTILINE)
    assert (out / "injection.png").stat().st_size > 5000


def test_options_of_the_experiment_alone_are_refused(place, capsys):
    words = ["--data", "x", "--test", "y", "--out", str(place / "other")]
    assert main(["ablation", *words, "--seeds", "1"]) == 2
    assert "--seeds, --readout and --baseline are for --into" in capsys.readouterr().err
    config = str(place / "injection.yaml")
    assert main(["ablation", *words, "--test", "z", "--into", "logmel", "--config", config]) == 2
    assert main(["ablation", *words, "--into", "lgmel", "--config", config]) == 2
    assert "did you mean 'logmel'" in capsys.readouterr().err
