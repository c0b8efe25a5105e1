"""The page of `report`: what it holds, against the result files; and that it holds all it needs."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reconstruction_files
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from paired_cells import class_predictions, random_predictions, write_cell
from PIL import Image
from result_files import make_result
from sklearn.metrics import confusion_matrix
from webpage_files import EVIL, content_of, fill, write, write_codec, write_pair

from earmark import compare, report
from earmark.benchmark.cli.main import main
from earmark.benchmark.reconstruction import result as codec_result
from earmark.benchmark.reconstruction.measure import plot_file, sound_files
from earmark.benchmark.shots import ShotScore
from earmark.benchmark.webpage.confusion import RowConfusions, confusions_of, packed
from earmark.benchmark.webpage.content import cost_of
from earmark.benchmark.webpage.html import json_for_html
from earmark.benchmark.webpage.pairs import Shelf


def page_of(folder: Path, **options: Any) -> tuple[str, Any]:
    """The page of the real results under a folder, and what it holds."""
    (path,) = report(folder, folder / "page.html", **options).paths
    text = path.read_text(encoding="utf-8")
    return text, content_of(text)


def cell_of(content: Any, task: str, column: str) -> Any:
    (table,) = content["tables"]
    place = [one["name"] for one in table["columns"]].index(column)
    (row,) = [row for row in table["rows"] if row["name"] == task]
    return row["cells"][place]


def without_scripts(text: str) -> str:
    return re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL)


# the tables


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
    assert facts[details["encoder"]] == result.encoder
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


def test_synthetic_results_have_a_page_of_their_own_that_says_so(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5, encoder="real-one"))
    write(tmp_path, make_result("esc50", 0.9, encoder="made-up", synthetic=True))
    codec = reconstruction_files.make_result("made-up-codec", synthetic=True)
    codec_result.write_result(tmp_path, codec, "key\n")
    made = report(tmp_path, tmp_path / "page.html")
    assert made.paths == [tmp_path / "page.html", tmp_path / "page.synthetic.html"]
    real, synthetic = (path.read_text(encoding="utf-8") for path in made.paths)
    assert "made-up" not in real
    assert "real-one" not in synthetic
    assert "synthetic" not in without_scripts(real).lower()
    headings = re.findall(r"<h[12]>.*?</h[12]>", without_scripts(synthetic))
    assert len(headings) == 6  # the page's own, four of tasks, one of codecs
    assert all('<span class="mark">synthetic</span>' in heading for heading in headings)
    assert "<title>SYNTHETIC" in synthetic
    assert all(one["caption"].startswith("SYNTHETIC") for one in content_of(synthetic)["tables"])
    again = report(tmp_path, tmp_path / "other.synthetic.html")
    assert again.paths[-1] == tmp_path / "other.synthetic.html"


def test_the_same_files_make_the_same_page(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    one, _ = page_of(tmp_path)
    two, _ = page_of(tmp_path)
    assert one == two


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


def test_intervals_of_differences_are_those_of_compare(tmp_path: Path) -> None:
    for task, metric in (("esc50", "accuracy"), ("fsd50k", "mAP"), ("maestro", "segment_f1_micro")):
        for number, encoder in enumerate("ABC"):
            cell = random_predictions(metric, number, 1 + number)
            write_cell(tmp_path, cell, encoder, task, metric)
    _, content = page_of(tmp_path)
    (table,) = content["tables"]
    assert [column["name"] for column in table["columns"]] == ["A", "B", "C"]
    seen = 0
    for place, (one, other) in enumerate((("A", "B"), ("A", "C"), ("B", "C"))):
        for found in compare(one, other, tmp_path):
            for task in found.tasks:
                row = [row["name"] for row in table["rows"]].index(task.task)
                wanted = [task.difference.low, task.difference.high]
                assert table["differences"][row][found.probe][place] == pytest.approx(
                    wanted, abs=1e-5
                )
                seen += 1
    assert seen == 3 * 4  # three tasks, one with both probes


def test_items_of_one_alone_leave_no_interval_of_a_difference(tmp_path: Path) -> None:
    for encoder, count in (("A", 24), ("B", 24), ("C", 23)):
        cell = class_predictions(np.arange(count) % 2 == 0, np.arange(count) // 2)
        write_cell(tmp_path, cell, encoder, "esc50")
    write(tmp_path, make_result("fsc", 0.5, encoder="A", fingerprint="A-fingerprint"))
    _, content = page_of(tmp_path)
    (table,) = content["tables"]
    by_task = dict(zip((r["name"] for r in table["rows"]), table["differences"], strict=True))
    assert by_task["esc50"]["linear"][0] == [0.0, 0.0]
    assert by_task["esc50"]["linear"][1:] == [None, None]
    assert by_task["fsc"] == by_task["gtzan"] == {}


def test_of_too_many_pairs_there_are_no_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoder in "ABC":
        write(tmp_path, make_result("esc50", 0.5, encoder=encoder))
    # 3 pairs; kNN measures 16 tasks, the linear probe 22; but here ESC-50 has the second alone
    monkeypatch.setattr("earmark.benchmark.webpage.differences.MOST", 3 * (22 + 15))
    assert page_of(tmp_path)[1]["tables"][0]["differences"] is not None
    monkeypatch.setattr("earmark.benchmark.webpage.differences.MOST", 3 * (22 + 15) - 1)
    assert page_of(tmp_path)[1]["tables"][0]["differences"] is None


# costs


def test_cost_is_audio_over_time_of_what_was_encoded_afresh() -> None:
    first, second, kept = (make_result(task, 0.5) for task in ("a", "b", "c"))
    for result in (first, second, kept):
        result.encoder |= {"frame_rate": 12.5, "embedding_dim": 512, "parameters": 7}
    first.run = {"encoded_audio_seconds": 900.0, "embed_seconds": 30.0, "device": "cpu"}
    second.run = {"encoded_audio_seconds": 100.0, "embed_seconds": 20.0, "device": "cpu"}
    kept.run = {"encoded_audio_seconds": 0.0, "embed_seconds": 0.5, "device": "other"}
    assert cost_of([first, second, kept]) == {
        "speed": 20.0, "device": "cpu", "parameters": 7, "values_per_second": 6400.0,
    }  # fmt: skip
    assert cost_of([kept])["speed"] is None
    assert cost_of([make_result()])["values_per_second"] is None


# confusion matrices


def test_classes_that_nothing_is_of_or_taken_for_are_left_out() -> None:
    predictions = class_predictions(np.ones((4, 1), bool), range(4))
    predictions.labels = np.array([1, 1, 5, 5])
    predictions.linear = np.array([[1], [5], [8], [5]])
    counted = confusions_of(predictions, "linear", 10)
    assert counted is not None
    names = [f"c{i}" for i in range(10)]
    (row,) = packed({0: RowConfusions(names, {"A": {"linear": counted}})}).values()
    assert (row["names"], row["unmet"], row["others"]) == (["c1", "c5", "c8"], 7, 0)
    assert dense(row, "A").tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def dense(row: Any, column: str, probe: str = "linear") -> np.ndarray:
    size, cells = len(row["names"]), row["columns"][column][probe]["cells"]
    found = np.zeros((size, size), int)
    for true, predicted, count in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        found[true, predicted] += count
    return found


@given(st.integers(0, 2**32), st.integers(2, 9), st.integers(1, 3))
def test_matrices_are_those_of_scikit_learn(seed: int, classes: int, seeds: int) -> None:
    rng = np.random.default_rng(seed)
    predictions = class_predictions(np.ones((30, seeds), bool), range(30))
    predictions.labels = rng.integers(0, classes, 30)
    predictions.linear = rng.integers(0, classes, (30, seeds))
    counted = confusions_of(predictions, "linear", classes)
    assert counted is not None
    assert counted.seeds == seeds
    # a second encoder that takes each class for itself, so that all are met
    own = confusions_of(class_predictions(np.ones((30, 1), bool), range(30)), "linear", classes)
    assert own is not None
    own = dataclasses.replace(
        own, classes=classes, codes=np.arange(classes) * (classes + 1),
        counts=np.ones(classes, np.int64),
    )  # fmt: skip
    both = {"A": {"linear": counted}, "B": {"linear": own}}
    row = packed({0: RowConfusions([str(i) for i in range(classes)], both)})
    wanted = sum(
        confusion_matrix(predictions.labels, one, labels=range(classes))
        for one in predictions.linear.T
    )
    assert (dense(row[0], "A") == wanted).all()
    assert row[0]["others"] == 0


def test_of_many_classes_the_most_confused_stay() -> None:
    classes, rng = 100, np.random.default_rng(0)
    predictions = class_predictions(np.ones((400, 1), bool), range(400))
    predictions.labels = np.arange(400) % classes
    predictions.linear = predictions.labels[:, None].copy()
    predictions.linear[predictions.labels == 7] = 93  # 4 errors each way; the others have fewer
    wrong = rng.permutation(np.flatnonzero(predictions.labels != 7))[:60]
    predictions.linear[wrong, 0] = (predictions.labels[wrong] + 1) % classes
    counted = confusions_of(predictions, "linear", classes)
    assert counted is not None
    names = [f"c{i}" for i in range(classes)]
    row = packed({0: RowConfusions(names, {"A": {"linear": counted}})})[0]
    assert len(row["names"]) == 61
    assert row["others"] == 40
    assert row["names"][-1] == "other (40 classes)"
    table = dense(row, "A")
    assert table.sum() == 400
    assert table[row["names"].index("c7"), row["names"].index("c93")] == 4
    tight = packed({0: RowConfusions(names, {"A": {"linear": counted}})}, budget=1500)[0]
    assert len(tight["names"]) < 61
    assert "c7" in tight["names"]
    assert len(json.dumps(tight)) <= 1500
    assert dense(tight, "A").sum() == 400


@pytest.mark.parametrize("metric", ["mAP", "segment_f1_macro", "recall@1", "WER_inv"])
def test_what_has_not_one_class_a_clip_has_no_matrix(metric: str) -> None:
    assert confusions_of(random_predictions(metric, 0), "linear", 4) is None


def test_predictions_become_matrices_and_their_lack_is_said(tmp_path: Path) -> None:
    write_cell(tmp_path, class_predictions(np.ones((9, 1), bool), range(9)), "A", "esc50")
    lost = write_cell(tmp_path, class_predictions(np.ones((9, 1), bool), range(9)), "B", "esc50")
    assert lost.path is not None
    lost.path.with_suffix(".predictions.npz").unlink()
    made = report(tmp_path, tmp_path / "page.html")
    (table,) = content_of(made.paths[0].read_text(encoding="utf-8"))["tables"]
    place = [row["name"] for row in table["rows"]].index("esc50")
    first, second = table["confusions"][place]["columns"]
    assert first["linear"]["cells"] == [0, 0, 3, 1, 1, 3, 2, 2, 3]
    assert second is None
    assert any(note.startswith("no confusion matrix") for note in made.notes)


# the page itself


class Reader(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag in ("script", "style"):
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.inside in ("script", "style"):
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def test_the_page_loads_nothing_and_allows_its_own_scripts_alone(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    text, _ = page_of(tmp_path)
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert tag not in ("iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert name not in ("src", "srcset", "action", "data", "style")
            assert not name.startswith("on")
            if name == "href":
                assert value == "data:," or str(value).startswith("#")
    (policy,) = [
        str(attributes["content"])
        for tag, attributes in reader.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    style, content, *scripts = reader.texts
    assert json.loads(content)["files"] == 1
    assert len(scripts) == 2
    for own in (style, *scripts):
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "@import" not in style
    assert "url(" not in style


@given(
    st.recursive(st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_text_stays_inside_its_script_element(content: Any) -> None:
    text = json_for_html(content)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == content


def test_text_of_files_is_in_the_page_as_json_only(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5, encoder=EVIL, title=EVIL))
    write(tmp_path, make_result(EVIL, 0.5, encoder=EVIL))
    write(tmp_path, make_result("fsc", error=EVIL))
    text, content = page_of(tmp_path)
    assert EVIL in {column["name"] for column in content["tables"][0]["columns"]}
    assert cell_of(content, "fsc", "logmel")["details"]["error"] == EVIL
    assert "window.hit" in text
    for start in [found.start() for found in re.finditer("window.hit", text)]:
        assert text[start - 60 : start].count("<") == 0
    assert len([tag for tag, _ in Reader(text).elements if tag == "script"]) == 3


# codecs


def media(content: Any, name: str) -> bytes:
    return base64.b64decode(content["media"][name].split(",", 1)[1])


def test_pairs_are_kept_without_loss_and_short(tmp_path: Path) -> None:
    for number, codec in enumerate(("mulaw", "dac")):
        write_codec(tmp_path, codec, ["c/1", "c/2"])
        samples = write_pair(tmp_path, codec, "clips", "c/1", number)
    _, content = page_of(tmp_path, audio=tmp_path / "audio", plots=tmp_path / "plots")
    (board,) = content["codecs"]
    (pair,) = board["pairs"]  # of c/2 nothing was saved
    assert pair["key"] == "c/1"
    assert set(pair["codecs"]) == {"mulaw", "dac"}
    heard, rate = soundfile.read(
        io.BytesIO(media(content, pair["codecs"]["dac"]["decoded"])), dtype="int16"
    )
    assert rate == 4000
    assert (heard == samples[: 6 * 4000]).all()
    assert content["media"][pair["reference"]].startswith("data:audio/flac;base64,")
    picture = Image.open(io.BytesIO(media(content, pair["codecs"]["mulaw"]["picture"])))
    assert (picture.format, picture.width) == ("WEBP", 820)


def test_pairs_end_where_the_room_does_and_say_so(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a", "b"])
    for key in "ab":
        write_pair(tmp_path, "mulaw", "clips", key, ord(key))
    results, _ = codec_result.read_results(tmp_path)
    shelf = Shelf(tmp_path / "audio", tmp_path / "plots", room=120_000)
    shelf.pairs_of({"mulaw": results[0]})
    assert 0 < sum(map(len, shelf.media.values())) <= 120_000
    assert any("left out: no room" in note for note in shelf.notes)


def test_sounds_of_two_codecs_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    for print_ in ("a" * 10, "b" * 10):
        write_codec(tmp_path, "mulaw", ["a"], fingerprint=print_)
    write_codec(tmp_path, "dac", ["a"])
    for codec in ("mulaw", "dac"):
        write_pair(tmp_path, codec, "clips", "a")
    made = report(tmp_path, tmp_path / "page.html", audio=tmp_path / "audio")
    (board,) = content_of(made.paths[0].read_text())["codecs"]
    assert {row["name"] for row in board["rows"]} == {"mulaw@aaaaaaaa", "mulaw@bbbbbbbb", "dac"}
    (pair,) = board["pairs"]
    assert set(pair["codecs"]) == {"dac"}
    said = " ".join(made.notes)
    assert "of mulaw@aaaaaaaa:" in said
    assert "of mulaw@bbbbbbbb:" in said


def test_a_folder_without_sounds_of_the_results_is_said(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a"])
    write_pair(tmp_path, "mulaw", "other-clips", "a")
    made = report(tmp_path, tmp_path / "page.html", audio=tmp_path / "audio")
    assert made.notes == [f"no sounds or pictures of clips under {tmp_path / 'audio'}"]


def test_of_two_folders_with_one_codec_the_later_is_shown(tmp_path: Path) -> None:
    for number, folder in enumerate(("old", "new")):
        write_codec(
            tmp_path / folder, "mulaw", ["a"], place=folder, values={"pesq_wb": 3.0 + number}
        )
    made = report([tmp_path / "old", tmp_path / "new"], tmp_path / "page.html")
    (board,) = content_of(made.paths[0].read_text())["codecs"]
    (row,) = board["rows"]
    assert row["scores"]["pesq_wb"][0] == 4.0
    assert "stands for" in made.notes[0]


def test_a_sound_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a"])
    write_pair(tmp_path, "mulaw", "clips", "a")
    sound_files(tmp_path / "audio", "mulaw", "clips", "a", None)[1].write_bytes(b"no sound")
    plot_file(tmp_path / "plots", "mulaw", "clips", "a", None).write_bytes(b"no picture")
    made = report(
        tmp_path, tmp_path / "page.html", audio=tmp_path / "audio", plots=tmp_path / "plots"
    )
    assert any("cannot be heard" in note for note in made.notes)
    assert any("cannot be shown" in note for note in made.notes)


def test_codecs_have_their_table_with_what_reproduces_a_row(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a"])
    codec_result.write_result(
        tmp_path, reconstruction_files.make_result("dac", error="no sound"), ""
    )
    _, content = page_of(tmp_path)
    assert content["tables"] == []
    rows = {row["name"]: row for board in content["codecs"] for row in board["rows"]}
    assert rows["mulaw"]["scores"]["pesq_wb"] == [4.0, 3.9, 4.1, 0]
    assert rows["mulaw"]["facts"]["values_per_second"] == 1600.0
    assert content["facts"][rows["mulaw"]["details"]["encoder"]]["name"] == "mulaw"
    assert rows["dac"]["status"] == "failed"
    assert rows["dac"]["details"]["error"] == "no sound"


# the command


def test_the_command_writes_the_pages_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    out = tmp_path / "sub" / "page.html"
    assert main(["report", "--results", str(tmp_path), "--out", str(out)]) == 0
    assert out.is_file()
    assert str(out) in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_left_out_and_the_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    (tmp_path / "broken.json").write_text("{")
    assert main(["report", "--results", str(tmp_path), "--out", str(tmp_path / "p.html")]) == 3
    assert "left out: " in capsys.readouterr().err
    assert (tmp_path / "p.html").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--results", "nowhere"], "no folder nowhere"),
        (["--results", "."], "no result file under ."),
        (["--results", ".", "--out", "."], "is a folder"),
        (["--results", ".", "--out", "/proc/page.html"], "cannot write /proc/page.html: "),
        (["--results", ".", "--out", "file/page.html"], "cannot write file/page.html: "),
        (["--results", ".", "--audio", "nowhere"], "no folder nowhere"),
        (["--results", ".", "--published", "."], "add --with-published"),
    ],
)
def test_what_cannot_start_is_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["report", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "report.html").exists()


def test_without_its_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "vl_convert" else there(name)
    )
    assert main(["report", "--results", str(tmp_path)]) == 2
    assert "vl-convert-python" in (said := capsys.readouterr().err)
    assert "pip install -e '.[report]'" in said
