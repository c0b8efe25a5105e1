"""The reconstruction leaderboard: what stands beside what, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from reconstruction_files import make_result, make_score
from rich.console import Console

from earmark.benchmark.reconstruction.formats import to_csv, to_markdown, to_terminal
from earmark.benchmark.reconstruction.leaderboard import PUBLISHED_AS, make_tables
from earmark.benchmark.reconstruction.measure import ItemRecord
from earmark.benchmark.reconstruction.metric.registry import all_metrics
from earmark.benchmark.reconstruction.result import (
    Alignment,
    Delay,
    LengthDifference,
    ReconstructionResult,
    alignment_of,
    failed_path,
    read_results,
    result_path,
    summarise,
    write_result,
)
from earmark.benchmark.result.facts import ClipFailure
from earmark.benchmark.result.files import result_files
from earmark.benchmark.result.published import PublishedValue, load_published, sources
from earmark.benchmark.result.schema import ResultError


def record(value: float, source: str = "a", **changes: object) -> ItemRecord:
    names = [metric.name for metric in all_metrics()]
    facts = {
        "key": "k", "crop": 0, "source": source, "seconds": 1.0,
        "values": dict.fromkeys(names, value), "reasons": {}, "length_difference": 0,
        "delay": 0.0, "delay_correlation": 1.0,
    }  # fmt: skip
    return ItemRecord(**facts | changes)  # type: ignore[arg-type]


def test_means_leave_out_what_has_no_value() -> None:
    nan = dict.fromkeys([metric.name for metric in all_metrics()], math.nan)
    records = [
        record(1.0, "a"), record(2.0, "a"), record(6.0, "b"),
        record(0.0, "c", values=nan, reasons={"stoi": "silent"}),
    ]  # fmt: skip
    score = summarise(all_metrics(), records)["stoi"]
    assert score.value == 3.0
    assert (score.items, score.sources, score.not_computed) == (3, 2, 1)
    assert score.reasons == {"silent": 1}
    assert score.interval == pytest.approx([1.5, 6.0])  # only a, only b
    nothing = summarise(all_metrics(), [records[3]])["stoi"]
    assert math.isnan(nothing.value)
    assert nothing.interval is None


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    metrics = [metric for metric in all_metrics() if metric.name == "stoi"]
    hits = 0
    for _ in range(60):
        records = [
            record(value, str(i))
            for i, level in enumerate(rng.normal(0, 1, 40))
            for value in level + rng.normal(0, 0.3, 2)
        ]
        low, high = summarise(metrics, records)["stoi"].interval or (0, 0)
        hits += low <= 0 <= high
    assert 50 <= hits <= 60  # 95 % of 60 is 57


def test_delays_count_only_where_the_signals_are_alike() -> None:
    records = [
        record(1.0, delay=0.002, delay_correlation=0.9, length_difference=-3),
        record(1.0, delay=0.0, delay_correlation=-0.8, length_difference=7),
        record(1.0, delay=0.04, delay_correlation=0.1),
        record(1.0, delay=math.nan, delay_correlation=math.nan),
    ]
    found = alignment_of(records)
    assert found.delay == Delay(pytest.approx(1.0), items=2, off=1)
    assert found.length_difference == LengthDifference(least=-3, median=0.0, most=7)


def test_best_first_and_what_is_better() -> None:
    results = [
        make_result("c", {"mel_distance_16k": 0.1}),
        make_result("a", {"pesq_wb": 2.0, "mel_distance_16k": 0.3}),
        make_result("b", {"pesq_wb": 4.0, "mel_distance_16k": 0.5}),
    ]
    (table,) = make_tables(results)
    assert [row.name for row in table.rows] == ["b", "a", "c"]
    assert list(table.metrics) == ["pesq_wb", "mel_distance_16k"]
    assert "higher is better: PESQ-wb" in table.notes
    assert "lower is better: mel 16k" in table.notes
    (table,) = make_tables([make_result(name, {"stft_distance_16k": v}) for name, v in
                            (("x", 2.0), ("y", 1.0))])  # fmt: skip
    assert [row.name for row in table.rows] == ["y", "x"]


def test_what_cannot_be_compared_has_tables_of_its_own() -> None:
    other = make_result("b")
    other.settings = other.settings | {"floor": 1e-7}
    results = [
        make_result("a"), make_result("b"), make_result("b", digest="ee" * 32), other,
        make_result("b", synthetic=True), make_result("b", limit=5),
    ]  # fmt: skip
    tables = make_tables(results)
    assert [len(table.rows) for table in tables].count(2) == 1
    assert len(tables) == 5
    assert "SYNTHETIC" in tables[-1].caption
    assert all("SYNTHETIC" not in table.caption for table in tables[:-1])
    assert any("LIMITED to 5" in table.caption for table in tables)
    assert len({str(result_path(Path(), result)) for result in results}) == 6


def test_two_codecs_of_one_name_are_told_apart() -> None:
    (table,) = make_tables([make_result(fingerprint="1" * 64), make_result(fingerprint="2" * 64)])
    assert {row.name for row in table.rows} == {"mulaw@11111111", "mulaw@22222222"}


def test_failures_and_gaps_are_said() -> None:
    gaps = make_score("stoi", 0.9, items=18, not_computed=2, reasons={"too short": 2})
    one = make_result("one", scores={"stoi": gaps})
    two = make_result("two", scores={"stoi": gaps})
    two.data.failed_clips, two.data.failures = 1, [ClipFailure("d", "k9", "cut")]
    two.not_measured = ["estoi"]
    two.alignment = Alignment(LengthDifference(-4, 0.0, 0), Delay(2.5, 20, 20))
    (table,) = make_tables([one, two, make_result("two", error="disk full")])
    assert [row.status for row in table.rows] == ["done", "failed"]
    assert "failed: two: disk full (an earlier result is kept in its file)" in table.notes
    assert "one, two: no STOI for 2 of 20, left out of its mean: too short (2)" in table.notes
    assert "two: 1 of 20 clips failed; the first: k9: cut" in table.notes
    assert "two: not measured, package not installed: estoi" in table.notes
    assert (
        "two: 20 of the 20 whose delay can be told are off by more than 0.5 ms (median +2.50 ms, "
        "not removed)"
    ) in table.notes
    assert any("-4 to +0 samples" in note for note in table.notes)
    text = to_markdown([table])
    assert "failed" in text.splitlines()[5]
    (alone,) = make_tables([make_result("two", error="no data")])
    assert "failed" in to_markdown([alone])


def test_a_failure_says_nothing_of_a_data_set_of_the_same_name_elsewhere() -> None:
    results = [make_result("one", place="a"), make_result("one", place="b", error="no data")]
    tables = make_tables(results)
    shown = sorted([row.status for row in table.rows] for table in tables)
    assert shown == [["done"], ["failed"]]
    paths = {failed_path(Path(), make_result(place=place, error="no")) for place in ("a", "b")}
    assert len(paths) == 2


def test_notes_count_the_sources_of_intervals_only() -> None:
    none = make_score("stoi", math.nan, interval=None, items=0, sources=0, not_computed=20)
    lone = make_score("stoi", 0.9, interval=None, items=1, sources=1)
    for score in (none, lone):
        (table,) = make_tables([make_result("one", scores={"stoi": score})])
        assert not any("rough" in note for note in table.notes)
    few = make_score("stoi", 0.9, sources=4)
    (table,) = make_tables([make_result("one", scores={"stoi": few})])
    assert "intervals rest on 4 sources and are rough" in table.notes


PUBLISHED = [
    PublishedValue("Good", "seed_tts_zh", "PESQ", 4.2, None, "reconstruction", "p", False, "", ""),
    PublishedValue("Poor", "seed_tts_zh", "PESQ", 1.1, None, "reconstruction", "p", False, "", ""),
    PublishedValue("Poor", "seed_tts_zh", "SIM", 0.9, None, "reconstruction", "p", False, "", ""),
    PublishedValue("Else", "seed_tts_en", "PESQ", 3.0, None, "reconstruction", "p", True, "", ""),
    PublishedValue("Good", "seed_tts_zh", "PESQ", 3.9, None, "generation", "q", True, "", ""),
]  # fmt: skip


def test_published_values_are_marked_and_only_beside_their_data_set() -> None:
    result = make_result("mulaw", {"pesq_wb": 2.0}, known_as="seed_tts_zh")
    (table,) = make_tables([result], PUBLISHED, {"p": "A paper"})
    assert [row.name for row in table.rows] == ["mulaw", "Good [p] *", "Poor [p] *"]
    text = to_markdown([table])
    assert "4.200 \\*" in text
    assert "not confirmed" in text
    assert "p: A paper, second-hand" in text
    for line in csv.DictReader(io.StringIO(to_csv([table]))):
        assert line["origin"] == ("measured" if line["codec"] == "mulaw" else "published")
    for changes in ({"known_as": None}, {"limit": 3}, {"synthetic": True}):
        lone = make_result("mulaw", {"pesq_wb": 2.0}, **{"known_as": "seed_tts_zh", **changes})
        (table,) = make_tables([lone], PUBLISHED, {})
        assert [row.name for row in table.rows] == ["mulaw"]


def test_a_preset_without_published_values_says_why() -> None:
    part = make_result("mulaw", {"pesq_wb": 2.0})
    (table,) = make_tables([part], PUBLISHED, {"p": "A paper"})
    assert not any("published" in note for note in table.notes)
    part.data.kind = "preset"
    (table,) = make_tables([part], PUBLISHED, {"p": "A paper"})
    assert len(table.rows) == 1
    assert "no published values: less than half of the data set, or other crops" in table.notes


def test_the_values_that_come_with_earmark_join() -> None:
    values, said = load_published(), sources()
    metrics = dict.fromkeys(PUBLISHED_AS.values(), 0.5)
    wanted = {"seed_tts_zh": ("pesq_wb", "DashengTokenizer [dt_paper_via_wiki] *", 4.163),
              "audioset_eval": ("mel_distance_16k", "DAC [losatok_notes] *", 0.615)}  # fmt: skip
    for name, (metric, row_name, value) in wanted.items():
        (table,) = make_tables([make_result("mulaw", metrics, known_as=name)], values, said)
        rows = {row.name: row for row in table.rows}
        assert rows[row_name].value(metric) == value
        assert math.isnan(rows[row_name].value("stft_distance_16k"))


def test_tables_in_every_form() -> None:
    results = [make_result("a", {"pesq_wb": 4.1, "stoi": 0.95}), make_result("b|c")]
    tables = make_tables(results)
    console = Console(width=60, record=True, file=io.StringIO())
    to_terminal(tables, console)
    text = console.export_text()
    assert "4.100 [4.000 4.200]" in text
    assert "0.950 [.850 1.050]" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 60
    assert text.count("\na ") >= 2  # the codec's name again in each part
    assert "b\\|c" in to_markdown(tables)
    (line,) = [line for line in csv.DictReader(io.StringIO(to_csv(tables))) if line["codec"] == "a"]
    assert float(line["pesq_wb"]) == 4.1
    assert float(line["pesq_wb low"]) == pytest.approx(4.0)
    assert float(line["values_per_second"]) == 1600
    assert float(line["speed"]) == 12.34
    assert line["mel_distance_16k"] == ""


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = make_result("a", scores={"stoi": make_score("stoi", math.nan, interval=None)})
    path = write_result(tmp_path, result, "key\n")
    (read,), unreadable = read_results(tmp_path)
    assert unreadable == []
    assert read.to_json() == result.to_json()
    assert math.isnan(read.scores["stoi"].value)
    assert list(result_files(tmp_path)) == []  # not taken for a task's result
    # a failure goes beside the success, and the next success clears it
    failed = write_result(tmp_path, make_result("a", error="x"), "")
    assert failed != path
    assert {found.status for found in read_results(tmp_path)[0]} == {"done", "failed"}
    write_result(tmp_path, result, "key\n")
    assert [found.status for found in read_results(tmp_path)[0]] == ["done"]


@pytest.mark.parametrize(("change", "said"), [
    ({"schema": 9}, "schema 9"), ({"status": "odd"}, "not 'odd'"), ({"scores": {}}, "no sco"),
    ({"synthetic": 1}, "true or false, not 1"), ({"codec": {}}, "codec.name is missing"),
    ({"data": {}}, "data.name is missing"),
])  # fmt: skip
def test_a_file_that_is_no_result_is_one_line(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    raw = json.loads(make_result().to_json()) | change
    with pytest.raises(ResultError) as caught:
        ReconstructionResult.from_json(json.dumps(raw), "here.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("here.json: ")
    assert "\n" not in str(caught.value)
    (tmp_path / "x.reconstruction.json").write_text("{")
    assert len(read_results(tmp_path)[1]) == 1
