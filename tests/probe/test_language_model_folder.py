"""Where the language model comes from, and what is said where it cannot be had; and its scores."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import torch
from frame_items import make_items, make_spec
from frame_tasks import make_task, write_shards
from result_files import make_result
from stand_ins import make_language_model

from earmark import Leaderboard, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.probe.adapter import SpellingResult
from earmark.benchmark.probe.language_model import load_language_model, model_digest, model_folder
from earmark.benchmark.protocol import STRICT, XARES
from earmark.benchmark.result.files import read_result
from earmark.benchmark.result.schema import Predictions
from earmark.benchmark.score import score_items
from earmark.benchmark.shards.dataset import DataError
from earmark.tasks import LabelRule, ProbeSettings, builtin_tasks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_language_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty cache, and a hub that nobody answers for; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return address


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(DataError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the folder


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_cut_weights(folder: Path, size: int) -> None:
    os.truncate(folder / "model.safetensors", size)
    line = refusal(load_language_model, str(folder), "cpu")
    assert str(folder) in line and "fetch it again" in line


def test_weights_that_are_no_safetensors_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "safetensors" in refusal(load_language_model, str(folder), "cpu")
    torch.save({"lm_head.weight": torch.zeros(57, 64)}, folder / "pytorch_model.bin")
    line = refusal(load_language_model, str(folder), "cpu")
    assert str(folder) in line and "safetensors" in line


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_damaged_words_about_the_model(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    assert str(folder) in refusal(load_language_model, str(folder), "cpu")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert str(tmp_path) in refusal(load_language_model, str(tmp_path), "cpu")


def without(folder: Path, token: str) -> None:
    """Rename a token in all that the tokenizer is made from."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        path = folder / name
        if path.exists():
            path.write_text(path.read_text().replace(token, "<|other|>"))


def test_a_tokenizer_without_the_separator(folder: Path) -> None:
    without(folder, "<|vision_end|>")
    line = refusal(load_language_model, str(folder), "cpu")
    assert "lacks <|vision_end|>" in line and "Qwen/Qwen2.5-0.5B" in line


def test_the_model_is_frozen_in_full_precision_and_does_not_drop_out(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    model = load_language_model(str(folder), "cpu")
    weights = list(model.network.parameters())
    assert {weight.dtype for weight in weights} == {torch.float32}
    assert not any(weight.requires_grad for weight in weights)
    assert not model.network.training
    assert (model.width, model.inner_width) == (64, 128)


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_language_model(str(folder), "cpu")
    assert capfd.readouterr() == ("", "")


def test_digest_covers_every_file_that_is_read_and_no_place(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    digests = {model_digest(str(folder), cache)}
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert {model_digest(str(moved), cache)} == digests
    (folder / "README.md").write_text("words")
    assert {model_digest(str(folder), cache)} == digests
    count = 1
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors"):
            path.write_bytes(path.read_bytes() + b" ")
            digests.add(model_digest(str(folder), cache))
            count += 1
    assert count > 4
    (folder / "merges.txt").write_text("a b")
    assert len(digests | {model_digest(str(folder), cache)}) == count + 1


# ---- the hub


def test_hub_that_nobody_answers_for(no_hub: str) -> None:
    line = refusal(model_folder, "nobody/nothing")
    assert line.startswith("this protocol spells transcripts by the language model nobody/nothing")
    assert "no answer" in line and "--language-model DIR" in line


def test_hub_that_is_switched_off(no_hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refusal(model_folder, "nobody/nothing")


def test_the_cache_is_asked_before_the_hub(no_hub: str, made: Path, tmp_path: Path) -> None:
    revision = "d" * 40
    repository = tmp_path / "hub" / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    snapshot = Path(shutil.copytree(made, repository / "snapshots" / revision))
    assert model_folder("some/model") == snapshot
    assert load_language_model("some/model", "cpu").width == 64


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    real = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "transformers" else real(name)
    )
    assert "pip install -e '.[baselines]'" in refusal(model_folder, str(folder))


def test_only_the_task_that_needs_it_fails(
    no_hub: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [str(make_task(tmp_path, kind)) for kind in ("transcript", "events", "captions")]
    status = main(
        ["--encoder", "logmel", "--tasks", *tasks, "--data", str(tmp_path / "data"),
         "--protocol", "xares-0.1.3", "--results", str(tmp_path / "r")]
    )  # fmt: skip
    assert status == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed  ")]
    assert len(lines) == 2
    assert "language model Qwen/Qwen2.5-0.5B" in lines[0] and "no answer" in lines[0]
    assert "google-bert/bert-base-uncased" in lines[1] and "no answer" in lines[1]
    (done,) = (tmp_path / "r").rglob("events.json")
    assert read_result(done).status == "done"


# ---- scores


def spell_as(texts: dict[int, str], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let the probe spell so; what it is called with."""
    calls: list[Any] = []

    def train(frames: Any, given: Any, split: Any, seeds: Any, *more: Any) -> SpellingResult:
        calls.append((list(given), split, list(seeds), more[0]))
        said = [[texts.get(int(i), given[i].lower())] * len(seeds) for i in split.test]
        return SpellingResult(
            learning_rates=np.full(len(seeds), 1e-3),
            best_epochs=np.zeros(len(seeds), np.int64),
            still_learning=np.zeros(len(seeds), np.bool_),
            checkpoints=np.arange(2),
            losses=np.ones((2, len(seeds))),
            validation=np.zeros((2, len(seeds))),
            predicted=said,
        )

    monkeypatch.setattr("earmark.benchmark.score.transcripts.train_adapters", train)
    monkeypatch.setattr("earmark.benchmark.score.transcripts.load_language_model", lambda *_: None)
    return calls


TEXTS = ["THE CAT", "A DOG", "IT'S ON", "NO", "GO", "ONE TWO THREE", "FOUR", "FIVE SIX"]


def score_spelling(monkeypatch: pytest.MonkeyPatch, said: dict[int, str]) -> Any:
    sizes = {"train": 3, "valid": 1, "test": 4}
    items = make_items(
        sizes, [(text,) for text in TEXTS], frames=[np.zeros((4, 6), np.float16)] * 8
    )
    spec = make_spec(
        "transcript", "WER_inv", sizes, ProbeSettings(2, 4), classes=(), segment_seconds=None
    )
    calls = spell_as(said, monkeypatch)
    return score_items(items, spec, XARES, frame_rate=10.0), calls


def test_the_model_reads_upper_case_and_the_score_none(monkeypatch: pytest.MonkeyPatch) -> None:
    scored, calls = score_spelling(monkeypatch, {5: "one TWO tree", 6: "", 7: "Five six seven"})
    ((given, split, seeds, training),) = calls
    assert given == TEXTS
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == (
        [0, 1, 2], [3], [4, 5, 6, 7],
    )  # fmt: skip
    assert seeds == [0]
    assert (training.epochs, training.batch_size) == (2, 4)
    references = [text.lower() for text in TEXTS[4:]]
    wer = jiwer.wer(references, ["go", "one two tree", "", "five six seven"])
    assert wer == 3 / 7
    score = scored.scores["linear"]
    assert score.value == pytest.approx(1 - wer)
    assert score.also["WER"] == pytest.approx(wer)
    assert scored.predictions.labels.tolist() == TEXTS[4:]


def test_more_errors_than_words_are_no_less_than_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    said = dict.fromkeys(range(4, 8), "x y z u v")
    assert score_spelling(monkeypatch, said)[0].scores["linear"].value == 0


# ---- a run


def librispeech(tmp_path: Path) -> Path:
    """Clips of letters under the names of LibriSpeech's shards."""
    write_shards(tmp_path / "raw", "transcript")
    target = tmp_path / "data" / "librispeech"
    target.mkdir(parents=True)
    for ours, theirs in (
        ("train", "train-clean-100"),
        ("valid", "dev-clean"),
        ("test", "test-clean"),
    ):
        (tmp_path / "raw" / "transcript" / f"{ours}-000.tar").rename(target / f"{theirs}-0.tar")
    return tmp_path / "data"


def test_a_run_beside_the_ctc_probe(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = librispeech(tmp_path)
    common: dict[str, Any] = {"data": data, "results": tmp_path / "r", "device": "cpu"}
    (ctc,) = evaluate("logmel", "librispeech_100h", seeds=1, **common)
    (spelt,) = evaluate(
        "logmel", "librispeech_100h", protocol="xares-0.1.3", language_model=folder, **common
    )
    assert (ctc.error, spelt.error) == (None, None)
    assert (ctc.task.title, ctc.task.abbreviation) == ("LibriSpeech-100h (CTC)", "LS100h-CTC")
    assert (spelt.task.title, spelt.task.abbreviation) == ("LibriSpeech-100h", "LS100h")
    score = spelt.scores["linear"]
    assert score.metric == "WER_inv" and score.items == 4
    assert str(folder) in (score.tokens or "")
    assert len(score.training_loss) == 10
    board, unreadable = Leaderboard.from_folder(tmp_path / "r", builtin_tasks().values())
    assert unreadable == []
    titles = {
        table.protocol.split()[0]: [row.title for row in table.rows if "100h" in row.title]
        for table in board.tables
    }
    assert titles == {"strict": ["LibriSpeech-100h (CTC)"], "xares-0.1.3": ["LibriSpeech-100h"]}
    assert len(board.tables) == 2
    for text in (FORMATS[name](board) for name in ("markdown", "csv")):
        assert "LibriSpeech-100h" in text and "LibriSpeech-100h (CTC)" in text
    texts = {
        path.parent.name.split("-")[0]: Predictions.load(path).labels.tolist()
        for path in (tmp_path / "r").rglob("*.npz")
    }
    assert texts["strict"] == [text.lower() for text in texts["xares"]]
    assert all(text.isupper() for text in texts["xares"])

    def refuse(*_: Any, **__: Any) -> None:
        raise DataError("computed again")

    monkeypatch.setattr("earmark.benchmark.evaluation.cell.score_items", refuse)
    words: dict[str, Any] = {"protocol": "xares-0.1.3", "language_model": folder} | common
    (again,) = evaluate("logmel", "librispeech_100h", **words)
    assert (again.error, again.scores["linear"].value) == (None, score.value)
    make_language_model(folder, seed=1)  # another model in its place
    (again,) = evaluate("logmel", "librispeech_100h", **words)
    assert again.error == "computed again"


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        (STRICT.facts(), "LibriSpeech-100h (CTC)"),
        (XARES.facts(), "LibriSpeech-100h"),
        (dataclasses.replace(STRICT, transcripts="language model").facts(), "LibriSpeech-100h"),
        (dataclasses.replace(XARES, transcripts="ctc").facts(), "LibriSpeech-100h (CTC)"),
        ({"name": "strict"}, "LibriSpeech-100h (CTC)"),  # of an older version
        ({"name": "xares-0.1.3", "transcripts": "dictation"}, "LibriSpeech-100h (CTC)"),
    ],
)
def test_a_row_that_has_not_run_has_the_protocols_title(facts: dict[str, Any], title: str) -> None:
    result = make_result("crema_d", 0.5, protocol=facts)
    (table,) = Leaderboard([result], builtin_tasks().values()).tables
    (row,) = [row for row in table.rows if row.name == "librispeech_100h"]
    assert row.title == title


def test_label_rule_of_a_transcript_keeps_its_case() -> None:
    spec = builtin_tasks()["librispeech_100h"]
    assert XARES.apply_to(spec).label == LabelRule("transcript", "trans", keep_case=True)
    assert XARES.apply_to(spec).digest() != spec.digest()
