"""What the README shows runs as shown."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import REPOSITORY, audio_bytes
from readme_files import block

from earmark.benchmark.cli.main import main

MAIN, BENCHMARK, TASKS = (
    (REPOSITORY / folder / "README.md").read_text(encoding="utf-8")
    for folder in ("", "benchmark", "tasks")
)


def test_the_example_encoder_runs(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_encoder.py").write_text(block(MAIN, "# my_encoder.py"))
    task, data = toy()
    encoder = f"{tmp_path / 'my_encoder.py'}:Spectrum"
    folders = ["--data", str(data), "--results", str(tmp_path / "results")]
    assert main(["--encoder", encoder, "--tasks", str(task), *folders]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "Toy" in line)
    knn = float(line.split()[5])
    assert knn > 0.8  # low against high tones, of which it sees the spectrum


def test_the_example_in_python_runs(
    toy: Callable[..., tuple[Path, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "my_encoder.py").write_text(block(MAIN, "# my_encoder.py"))
    task, data = toy()
    monkeypatch.chdir(tmp_path)
    code = block(MAIN, "import earmark")
    assert len(code.splitlines()) <= 10
    assert '["esc50", "speech"], data="../shared/data"' in code
    code = code.replace('["esc50", "speech"]', repr([str(task)]))
    exec(code.replace('"../shared/data"', repr(str(data))), {})
    scores, differences = r"(toy done [01]\.\d+\n){2}", r"((linear|knn) Toy \S+ [\w ]+\n){2}"
    assert re.fullmatch(scores + differences, capsys.readouterr().out)


def test_the_example_of_the_probe_runs(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["low", "high"], 60)
    values = rng.standard_normal((120, 4)) + 4 * (labels == "high")[:, None]
    names = {
        "train_embeddings": values[::2], "train_labels": labels[::2],
        "train_speakers": np.arange(60) // 3,
        "test_embeddings": values[1::2], "test_labels": labels[1::2],
    }  # fmt: skip
    exec(block(BENCHMARK, "from earmark import LinearProbe"), names)
    score, strength, converged = capsys.readouterr().out.split()
    assert float(score) == 1.0 and float(strength) > 0 and converged == "True"


def test_the_example_that_makes_a_shard_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "dog_1.wav").write_bytes(audio_bytes(np.zeros(100), 8000))
    monkeypatch.chdir(tmp_path)
    exec(block(TASKS, "import io"), {})
    with tarfile.open("my_task_train_000000.tar") as shard:
        note = shard.extractfile("dog_1.json")
        assert shard.getnames() == ["dog_1.wav", "dog_1.json"]
        assert note is not None and note.read() == b'{"label": "dog"}'


def test_the_commands_are_the_two_that_set_everything_up() -> None:
    assert block(MAIN, "pip install -e . ").strip() == (
        "pip install -e . && "
        "python run_bench.py --encoder dasheng-tiny --tasks all --data synthetic"
    )
    assert block(MAIN, "pip install -e '.[test]'").strip() == "pip install -e '.[test]' && pytest"


def test_the_example_of_validate_says_what_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake with its cure; then, with the cure, the advice. Widths are the terminal's."""
    monkeypatch.setenv("COLUMNS", "120")
    text = (REPOSITORY / "encoders" / "README.md").read_text(encoding="utf-8")
    code, file = block(text, "# conv.py"), tmp_path / "conv.py"
    file.write_text(code)
    assert main(["validate", "--encoder", f"{file}:Conv", "--quick"]) == 1
    printed = capsys.readouterr().out.splitlines()
    (cure,) = [line for line in printed if line.startswith("BREACH: ")]
    assert cure in block(text, "0.5 s of noise ")
    shown = " ".join(block(text, "0.5 s of noise ").partition("...")[0].split())
    assert "values of shape BREACH (1, 64, 50) for 1 clip" in shown
    assert any("values of shape (1, 64, 50) for 1 clip" in line for line in printed)
    file.write_text(code.replace("Frames(values, ", "Frames(values.transpose(1, 2), "))
    assert main(["validate", "--encoder", f"{file}:Conv", "--quick"]) == 0
    (advice,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ok: ")]
    number = re.compile(r"\d+\.\d")  # of how much faster it is here, and was there
    assert number.sub("N", advice) == number.sub("N", block(text, "ok: padding: ").strip())
