"""`train` from the command line: what it prints, writes and refuses, and a real kill."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from clips import REPOSITORY
from dasheng_reference import noise
from training_files import INJECTION, SEMANTIC, as_yaml, dasheng_file

import earmark
from earmark.benchmark.cli.main import main
from earmark.benchmark.io.exits import CANNOT_START
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.io.sealed import locked
from earmark.encoders.dasheng import load
from earmark.encoders.dasheng.training.history import History


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """A folder of two wav files."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, seconds in enumerate((2.0, 0.8)):
        soundfile.write(folder / f"{number}.wav", noise(round(16_000 * seconds), number), 16_000)
    return folder


@pytest.fixture
def words(tmp_path: Path, audio: Path) -> list[str]:
    """An injection on a semantic encoder that the config names, into `<tmp>/out`."""
    dasheng_file(tmp_path)
    config = as_yaml(tmp_path / "injection.yaml", INJECTION, semantic="small.pt")
    return [
        "train", "--config", str(config), "--data", str(audio), "--out", str(tmp_path / "out"),
        "--device", "cpu", "--threads", "1",
    ]  # fmt: skip


def losses(out: Path) -> list[dict[str, str]]:
    """Every column but the speed."""
    with (out / "training" / "losses.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        del row["clips_per_second"]
    return rows


def test_both_stages(tmp_path: Path, audio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder, out = tmp_path / "encoder", tmp_path / "out"
    config = as_yaml(tmp_path / "semantic.yaml", SEMANTIC)
    shared = ["--data", str(audio), "--device", "cpu"]
    assert main(["train", "--config", str(config), "--out", str(encoder), *shared]) == 0
    assert capsys.readouterr().out == f"{encoder / 'dasheng.pt'}\n"

    config = as_yaml(tmp_path / "injection.yaml", INJECTION)
    injection = ["train", "--config", str(config), "--semantic", str(encoder), "--out", str(out)]
    extra = ["--held-out", str(audio), "--latent", "acoustic"]
    assert main([*injection, *shared, *extra]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "4 steps at " in printed.err
    assert f"curves: {out / 'training' / 'curves.png'}" in printed.err
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == [
        "config.json", "model.safetensors", "training/curves.png", "training/held_out.csv",
        "training/losses.csv", "training/run.json", "training/state.pt",
    ]  # fmt: skip
    assert [row["step"] for row in losses(out)] == ["1", "2", "3", "4"]
    assert (out / "training" / "curves.png").read_bytes().startswith(b"\x89PNG")
    facts = json.loads((out / "training" / "run.json").read_text())
    assert facts["config"]["stage"] == "injection"
    assert facts["config"]["latent"] == "acoustic"
    assert facts["config"]["losses"]["mel"]["windows"] == [64, 256]
    assert facts["audio"] == {"recordings": round(2.8 / 3600, 4)}
    assert facts["steps_now"] == 4
    assert facts["left_out"] == []
    assert facts["command"].startswith("python run_bench.py ")
    assert load(weights=out)[0].embedding_dim == 16


def test_a_dry_run_trains_nothing(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "recordings: 0.00 h of audio",
        f"4 steps of 4 crops of 0.16 s: 0.0 h heard, into {tmp_path / 'out'}",
    ]
    assert not (tmp_path / "out").exists()


def test_in_python(tmp_path: Path, audio: Path) -> None:
    config = as_yaml(tmp_path / "semantic.yaml", SEMANTIC, steps=1)
    trained = earmark.train(config, audio, tmp_path / "out", device="cpu")
    assert trained.checkpoint == tmp_path / "out" / "dasheng.pt"
    assert trained.steps == 1
    assert trained.clips_per_second > 0


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that it ends with, and that it ends with status 2."""
    capsys.readouterr()
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line.partition(": ")[2]


def option(words: list[str], name: str, value: Any) -> list[str]:
    """The words with one option's value replaced, or the option added."""
    if name not in words:
        return [*words, name, str(value)]
    place = words.index(name) + 1
    return [*words[:place], str(value), *words[place + 1 :]]


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry"])
def test_what_cannot_start(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], dry: list[str]
) -> None:
    words = [*words, *dry]
    none, empty = tmp_path / "none", tmp_path / "empty"
    empty.mkdir()
    config = as_yaml(tmp_path / "other.yaml", INJECTION)
    semantic = as_yaml(tmp_path / "semantic.yaml", SEMANTIC)
    for changed, said in (
        (option(words, "--config", none), f"{none} cannot be read: "),
        (option(words, "--config", config), "no semantic encoder is named; give its checkpoint"),
        (option(words, "--semantic", none), f"no semantic encoder at {none}: give a Dasheng"),
        (option(words, "--semantic", tmp_path / "recordings"), "but 0 .pt files: give a Dasheng"),
        (option(option(words, "--config", semantic), "--latent", "unified"), "--latent are for a"),
        (option(words, "--data", none), f"no folder or file {none}"),
        (option(words, "--data", empty), f"{empty} holds no audio file"),
    ):
        assert said in refused(changed, capsys)
    text = (tmp_path / "injection.yaml").read_text()
    config.write_text(text.replace("latent: unified", "latent: both"))
    line = refused(option(words, "--config", config), capsys)
    assert line == f"{config}: latent is 'both'; one of unified, semantic, acoustic"
    config.write_text(text.replace("shares: {}", "shares: {speech: 1}"))
    line = refused(option(words, "--config", config), capsys)
    assert line == "shares name speech; the data sets are recordings"
    assert not (tmp_path / "out").exists()


def test_another_training_s_folder(
    tmp_path: Path,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(History, "draw", lambda self, path: True)
    assert main(words) == 0
    capsys.readouterr()
    line = refused([*words, "--latent", "acoustic"], capsys)
    state = tmp_path / "out" / "training" / "state.pt"
    assert line == (
        f"{state} is the state of a training with another config; choose another --out, or begin "
        "anew with --fresh"
    )
    assert main([*words, "--latent", "acoustic", "--fresh"]) == 0


def test_what_does_not_decode_is_named(
    words: list[str], audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (audio / "damaged.wav").write_bytes(b"RIFF")
    assert main(words) == 2  # one of three is more than 1 %
    told, line = capsys.readouterr().err.splitlines()
    assert told.startswith("damaged.wav is left out: ")
    assert "1 of 3 clips cannot be decoded, more than 1%" in line


def test_a_real_kill(tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL with a state or two written; the same command ends as one never killed does."""
    monkeypatch.setattr(History, "draw", lambda self, path: True)  # pictures take their time
    config = replace(INJECTION, steps=12, checkpoint_every=2, semantic="small.pt")
    words = option(words, "--config", as_yaml(tmp_path / "long.yaml", config))
    state = tmp_path / "out" / "training" / "state.pt"
    process = subprocess.Popen(
        [sys.executable, "run_bench.py", *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert main(words) == 0
    whole = option(words, "--out", tmp_path / "whole")
    assert main(whole) == 0
    assert losses(tmp_path / "out") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 12
    first, second = (tmp_path / one / "model.safetensors" for one in ("out", "whole"))
    assert first.read_bytes() == second.read_bytes()
    facts = json.loads((tmp_path / "out" / "training" / "run.json").read_text())
    assert 0 < facts["steps_now"] < 12


def test_the_time_left_is_that_of_the_steps_taken_now(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("earmark.benchmark.io.progress.time.monotonic", lambda: now[0])
    progress = Progress("training", 1000, "steps", quiet=True)
    progress.resume(900)
    now[0] += 20
    progress.show("mel 1.234, 8.0 clips/s")
    progress.to(910, 1000)
    assert progress.line() == (
        "training: 910/1000 steps, mel 1.234, 8.0 clips/s, about 3 min 0 s left"
    )


def test_two_trainings_do_not_share_a_folder(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path / "out"):
        assert main(words) == CANNOT_START
        (said,) = [line for line in capsys.readouterr().err.splitlines() if "another" in line]
        wanted = f"another training writes into {tmp_path / 'out'}; wait for it, or choose another"
        assert wanted in said
    assert main(words) == 0
