"""The tables of the page, against the result files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from paired_cells import class_predictions, write_cell
from result_files import make_result
from webpage_files import cell_of, content_of, fill, page_of, write

from earmark import report
from earmark.benchmark.io.fields import plain
from earmark.benchmark.result.facts import EmbeddingSpeed, RunFacts
from earmark.benchmark.shots import ShotScore
from earmark.benchmark.webpage.content import cost_of


def test_label_efficiency_is_there_for_its_curve(tmp_path: Path) -> None:
    result = make_result("esc50", 0.8)
    result.scores["linear"].shots = [
        ShotScore(8, 0.5, [0.4, 0.625], [0.45, 0.55], 0.07, 80.0, 8.0),
        ShotScore("all", 0.8, None, clips=320.0, per_class=32.5),
    ]
    write(tmp_path, result)
    write(tmp_path, make_result("esc50", 0.4, encoder="mfcc"))
    _, content = page_of(tmp_path)
    shots = cell_of(content, "esc50", "logmel")["shots"]
    assert shots == [[8, 8.0, 0.5, 0.4, 0.625], ["all", 32.5, 0.8, None, None]]
    assert "shots" not in cell_of(content, "esc50", "mfcc")
    assert content["charts"]["shots"]["encoding"]["x"]["scale"]["type"] == "log"


def test_a_cell_holds_its_score_and_what_reproduces_it(tmp_path: Path) -> None:
    result = make_result("esc50", 0.123456, 0.5, interval=[0.1, 0.15], failed_clips=1, failures=[
        {"shard": "a.tar", "key": "k1", "reason": "cannot be decoded"},
    ])  # fmt: skip
    fill(result, 4, 50, "accuracy", np.random.default_rng(0))
    write(tmp_path, result)
    _, content = page_of(tmp_path)
    cell = cell_of(content, "esc50", "logmel")
    assert cell["status"] == "done"
    assert cell["linear"] == [0.123456, 0.1, 0.15, False]  # one encoder: nothing to be best of
    assert cell["knn"][0] == 0.5
    details = cell["details"]
    assert details["command"] == result.command
    facts = content["facts"]
    assert facts[details["encoder"]] == plain(result.encoder)
    assert facts[details["versions"]] == result.versions
    assert facts[details["protocol"]] == result.protocol
    assert facts[details["shards"]] == [["a.tar", "test", "00"]]
    assert facts[details["data"]]["clips"] == 100
    assert facts[details["data"]]["failed_clips"] == 1
    assert details["failures"] == ["a.tar/k1: cannot be decoded"]
    assert details["run"]["seconds"] == result.run.seconds
    assert facts[details["run"]["machine"]]["processor"] == "A processor, 6, 143"
    linear, score = details["scores"]["linear"], result.scores["linear"]
    assert linear["seeds"] == pytest.approx(score.per_seed, abs=1e-5)
    assert linear["epochs"] == score.best_epochs
    assert (linear["items"], linear["sources"], linear["confidence"]) == (50, 10, 0.95)
    epochs, losses = zip(*linear["loss"], strict=True)
    assert epochs == (1, 2, 3, 4)
    assert list(losses) == pytest.approx(score.training_loss, rel=1e-3)
    assert len(linear["validation"]) == 4


@pytest.mark.parametrize("spread", [0.0, 0.25, None])
def test_seeds_that_agree_have_a_spread_of_nought(tmp_path: Path, spread: float | None) -> None:
    result = make_result("esc50", 0.5)
    result.scores["linear"].spread = spread
    write(tmp_path, result)
    _, content = page_of(tmp_path)
    assert cell_of(content, "esc50", "logmel")["details"]["scores"]["linear"]["spread"] == spread


def test_a_file_of_before_curves_were_kept_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, make_result("esc50", 0.5))
    raw = json.loads(path.read_text())
    for score in raw["scores"].values():
        del score["validation"], score["training_loss"]
    path.write_text(json.dumps(raw))
    _, content = page_of(tmp_path)
    linear = cell_of(content, "esc50", "logmel")["details"]["scores"]["linear"]
    assert "validation" not in linear
    assert "loss" not in linear


def test_long_curves_keep_their_ends(tmp_path: Path) -> None:
    result = make_result("esc50", 0.5)
    result.scores["linear"].validation = [epoch / 1000 for epoch in range(1000)]
    result.scores["linear"].training_loss = [1.0, math.nan]
    write(tmp_path, result)
    _, content = page_of(tmp_path)
    curve = cell_of(content, "esc50", "logmel")["details"]["scores"]["linear"]["validation"]
    assert curve[0] == [1, 0.0]
    assert curve[-1] == [1000, 0.999]
    assert len(curve) <= 61
    loss = cell_of(content, "esc50", "logmel")["details"]["scores"]["linear"]["loss"]
    assert loss == [[1, 1.0], [2, None]]


def test_what_did_not_run_is_null_and_what_failed_says_why(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    write(tmp_path, make_result("fsc", error="12 of 20 clips failed"))
    write(tmp_path, make_result("esc50", 0.4, encoder="mfcc"))
    _, content = page_of(tmp_path)
    assert len(content["tables"][0]["rows"]) == 22
    assert cell_of(content, "gtzan", "logmel") is None
    assert cell_of(content, "fsc", "mfcc") is None
    failed = cell_of(content, "fsc", "logmel")
    assert failed["status"] == "failed"
    assert failed["details"]["error"] == "12 of 20 clips failed"
    assert "linear" not in failed


def test_the_best_and_what_cannot_be_told_from_it(tmp_path: Path) -> None:
    right = np.zeros((60, 2), bool)
    for encoder, share in (("A", 54), ("B", 52), ("C", 6)):
        own = right.copy()
        own[:share] = True
        write_cell(tmp_path, class_predictions(own, range(60)), encoder, "esc50")
    _, content = page_of(tmp_path)
    assert [cell_of(content, "esc50", name)["linear"][3] for name in "ABC"] == [True, True, False]


def test_too_few_sources_are_told_in_the_cell(tmp_path: Path) -> None:
    for encoder, count, sources in (("A", 54, 5), ("B", 6, 5), ("C", 30, 6)):
        own = np.arange(60) < count
        predictions = class_predictions(own, np.arange(60) % sources)
        write_cell(tmp_path, predictions, encoder, "esc50", shard=f"{sources}")
    _, content = page_of(tmp_path)
    (table,) = content["tables"]
    cells = {
        column["name"]: row["cells"][place]["linear"]
        for row in table["rows"]
        for place, column in enumerate(table["columns"])
        if row["name"] == "esc50" and row["cells"][place]
    }
    assert cells["A"] == [0.9, None, None, False, "too few sources"]
    assert cells["C"] == [0.5, None, None, False]  # a result of before it had one


def test_protocols_seeds_and_limits_have_tables_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    write(tmp_path, make_result("esc50", 0.4, protocol="xares-0.1.3", seeds=1))
    write(tmp_path, make_result("esc50", 0.3, limit=20))
    _, content = page_of(tmp_path)
    kinds = {(one["protocol"].split()[0], one["seeds"], one["limit"]) for one in content["tables"]}
    assert kinds == {("strict", 5, None), ("xares-0.1.3", 1, None), ("strict", 5, 20)}


def test_means_are_those_of_the_leaderboard(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.25, domain="sound"))
    write(tmp_path, make_result("fsc", 0.75, domain="speech"))
    _, content = page_of(tmp_path)
    means = {mean["name"]: mean["cells"] for mean in content["tables"][0]["means"]["linear"]}
    assert means["mean of all"] == [[0.5, 2, 22]]
    assert means["mean of speech"] == [[0.75, 1, 11]]
    assert means["mean of music"] == [[None, 0, 4]]


def test_published_values_stand_beside_measured_ones_marked(tmp_path: Path) -> None:
    from earmark.benchmark.protocol import XARES

    result = make_result(
        "esc50", 0.5, domain="sound", weight=400.0, protocol=XARES.facts(), seeds=1
    )
    result.scores["linear"].items = 2000
    write(tmp_path, result)
    _, content = page_of(tmp_path, published=["whisper-base"])
    (table,) = content["tables"]
    column = next(one for one in table["columns"] if "published" in one)
    assert "pub" in column["name"]
    assert column["published"]["citation"]
    cell = cell_of(content, "esc50", column["name"])
    assert cell["status"] == "published"
    assert cell["linear"][1:] == [None, None, False]
    assert "details" not in cell


def test_of_two_folders_with_one_cell_the_later_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "one", make_result("esc50", 0.25))
    write(tmp_path / "one", make_result("fsc", 0.75))
    write(tmp_path / "two", make_result("esc50", 0.5))
    made = report([tmp_path / "one", tmp_path / "two"], tmp_path / "page.html")
    content = content_of(made.paths[0].read_text(encoding="utf-8"))
    assert cell_of(content, "esc50", "logmel")["linear"][0] == 0.5
    assert cell_of(content, "fsc", "logmel")["linear"][0] == 0.75
    assert any("two" in note and "one" in note for note in made.notes)


def test_a_cell_says_how_fast_its_embeddings_were_made(tmp_path: Path) -> None:
    result = make_result("esc50", 0.5)
    result.run.embedding = EmbeddingSpeed(audio_seconds=2000.0, seconds=12.34567, device="A GPU")
    write(tmp_path, result)
    _, content = page_of(tmp_path)
    run = cell_of(content, "esc50", "logmel")["details"]["run"]
    assert run["embedding"] == "2000 s of audio in 12.35 s on A GPU"
    assert "embedding" not in content["facts"][run["machine"]]
    assert content["tables"][0]["columns"][0]["cost"]["speed"] == 162.0


def test_cost_is_audio_over_time_of_what_was_encoded_afresh() -> None:
    first, second, kept = (make_result(task, 0.5) for task in ("a", "b", "c"))
    for result in (first, second, kept):
        result.encoder.frame_rate, result.encoder.embedding_dim = 12.5, 512
        result.encoder.parameters = 7
    first.run = RunFacts(encoded_audio_seconds=900.0, embed_seconds=30.0, device="cpu")
    second.run = RunFacts(encoded_audio_seconds=100.0, embed_seconds=20.0, device="cpu")
    kept.run = RunFacts(encoded_audio_seconds=0.0, embed_seconds=0.5, device="other")
    assert cost_of([first, second, kept]) == {
        "speed": 20.0, "device": "cpu, with reading", "parameters": 7,
        "values_per_second": 6400.0, "bits_per_second": None,
    }  # fmt: skip
    assert cost_of([kept])["speed"] is None
    assert cost_of([make_result()])["values_per_second"] is None
