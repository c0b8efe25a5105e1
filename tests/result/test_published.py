"""Published values: all are there, as they were handed over, and bad ones are refused by line."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from clips import REPOSITORY

from earmark.benchmark.result.published import PUBLISHED, PublishedError, load_published, sources
from earmark.tasks import builtin_tasks

HANDED_OVER = REPOSITORY.parent / "shared" / "spec" / "published.csv"
UNDERSTANDING = ("mlp", "knn")
HEAD = "system,task,metric,value,probe,protocol,source,primary\n"
GOOD = "whisper-base,esc50,accuracy,0.528,linear,xares-0.1.3,paper,yes\n"


def test_how_many_there_are() -> None:
    values = load_published()
    assert len(values) == 775
    assert Counter(value.protocol for value in values) == {
        "xares-0.1.3": 320, "xares": 314, "reconstruction": 111, "property": 26, "generation": 4,
    }  # fmt: skip
    assert Counter(value.primary for value in values) == {True: 642, False: 133}
    assert {value.source for value in values} == set(sources())


@pytest.mark.skipif(not HANDED_OVER.is_file(), reason=f"no {HANDED_OVER}")
def test_every_value_that_was_handed_over_is_there() -> None:
    """Compared on every field that has not been given another name, by the sources' own names."""
    with HANDED_OVER.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    handed_over = Counter(
        (
            row["system"], "" if row["task"] == "n/a" else row["task"], row["metric"],
            float(row["value"]), {"mlp": "linear"}.get(row["protocol"], row["protocol"])
            if row["protocol"] in UNDERSTANDING else None,
            row["source"], row["confidence"] == "primary", row["where"],
            row["version"].removeprefix("v"),
        )
        for row in rows
    )  # fmt: skip
    ours = Counter(
        (
            value.system, value.source_task or "", value.source_metric, value.value, value.probe,
            value.source, value.primary, value.where, value.release,
        )
        for value in load_published()
    )  # fmt: skip
    assert len(rows) == 775
    assert ours == handed_over


@pytest.mark.skipif(not HANDED_OVER.is_file(), reason=f"no {HANDED_OVER}")
def test_citations_are_those_that_were_handed_over() -> None:
    text = HANDED_OVER.with_name("published_sources.yaml").read_text(encoding="utf-8")
    lines = dict(line.strip().split(": ", 1) for line in text.splitlines()[1:] if line.strip())
    assert sources() == lines


def test_names_of_tasks_and_metrics_are_ours() -> None:
    specs = builtin_tasks()
    on_tasks = [v for v in load_published() if v.protocol.startswith("xares") and v.task]
    assert {value.task for value in on_tasks} == set(specs)
    assert all(value.metric == specs[value.task or ""].metric for value in on_tasks)
    told = {value.metric: value.source_metric for value in on_tasks}
    assert told == {
        "accuracy": "accuracy", "mAP": "mAP", "recall@1": "recall_at_1", "WER_inv": "iWER",
        "segment_f1_macro": "segment_f1_macro_1s", "segment_f1_micro": "segment_f1_micro_100ms",
    }  # fmt: skip


def test_values_by_hand() -> None:
    found = {
        (value.system, value.task, value.metric, value.probe, value.source, value.protocol): value
        for value in load_published()
    }
    known = {
        ("dasheng-base", "esc50", "accuracy", "linear", "xares_readme", "xares-0.1.3"): 0.857,
        ("dasheng-base", "esc50", "accuracy", "knn", "xares_readme", "xares-0.1.3"): 0.618,
        ("whisper-base", "librispeech_100h", "WER_inv", "linear", "xares_readme",
         "xares-0.1.3"): 0.815,
        ("whisper-base", "librispeech_100h", "WER_inv", "linear", "xares_readme", "xares"): 0.721,
        ("DashengTokenizer", "seed_tts_zh", "PESQ", None, "dt_paper_via_wiki",
         "reconstruction"): 4.163,
        ("DiT + DashengTokenizer", "text_to_audio", "FAD", None, "dt_readme_fig_generation",
         "generation"): 3.06,
        ("DashengTokenizer", None, "frame_rate", None, "dt_paper_via_wiki", "property"): 25,
    }  # fmt: skip
    assert {key: found[key].value for key in known} == known


def test_the_protocol_claims_no_more_than_is_known() -> None:
    """LibriSpeech-100h changed with release 0.1.3, and no release is stated for the challenge."""
    values = load_published()
    transcripts = [value for value in values if value.task == "librispeech_100h"]
    assert len(transcripts) == 20
    for value in transcripts:
        assert (value.protocol == "xares-0.1.3") == (value.release == "0.1.3")
    assert {v.protocol for v in values if v.source == "icme2025_results"} == {"xares"}


# --------------------------------------------------------------------------------- bad tables


def folder_with(place: Path, table: str | bytes, sources: str | None = None) -> Path:
    folder = place / "mine"
    folder.mkdir()
    (folder / "t.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    text = "sources: {paper: 'A paper (2020)'}\ndata_sets: {speech: Speech}\n"
    (folder / "sources.yaml").write_text(text if sources is None else sources)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(PublishedError) as caught:
        load_published(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_good_table_of_ones_own(tmp_path: Path) -> None:
    other = '"A, B",speech,PESQ,2.5e0,,reconstruction,paper,no\n'
    first, second = load_published(folder_with(tmp_path, "\ufeff" + HEAD + GOOD + "\n" + other))
    assert (first.task, first.value, first.probe, first.primary) == ("esc50", 0.528, "linear", True)
    assert (first.where, first.note, first.release) == ("", "", "")
    assert (first.source_task, first.source_metric) == ("esc50", "accuracy")
    assert (second.system, second.value, second.primary) == ("A, B", 2.5, False)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"value": "high"}, "value 'high' is not a number"),
    ({"value": "nan"}, "value 'nan' is not a number"),
    ({"value": "1e999"}, "value '1e999' is not a number"),
    ({"value": "1_0"}, "value '1_0' is not a number"),
    ({"value": ""}, "'value' is empty; fill it in"),
    ({"value": "52.8"}, "must be a share from 0 to 1; divide percent by 100"),
    ({"system": ""}, "'system' is empty; fill it in"),
    ({"task": "esc5"}, "unknown task 'esc5'; did you mean 'esc50'?"),
    ({"metric": "acc"}, "metric 'acc' is not the metric of esc50, 'accuracy'"),
    ({"probe": "mlp"}, "unknown probe 'mlp'; known: linear, knn"),
    ({"probe": ""}, "unknown probe ''; known: linear, knn"),
    ({"task": "desed", "metric": "segment_f1_macro", "probe": "knn"}, "desed has no probe 'knn'"),
    ({"protocol": "xares-0.1.2"}, "unknown protocol 'xares-0.1.2'; did you mean 'xares-0.1.3'?"),
    ({"source": "papre"}, "unknown source 'papre'; did you mean 'paper'?"),
    ({"primary": "primary"}, "unknown primary 'primary'; known: yes, no"),
    ({"protocol": "reconstruction"}, "probe must be empty for protocol 'reconstruction'"),
    ({"protocol": "reconstruction", "probe": ""}, "unknown task 'esc50'; known: speech"),
    ({"protocol": "property", "probe": ""}, "task must be empty for protocol 'property'"),
]


@pytest.mark.parametrize(("changes", "said"), CHANGES)
def test_a_bad_value_is_refused_by_file_and_line(
    changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    names = HEAD.strip().split(",")
    fields = dict(zip(names, GOOD.strip().split(","), strict=True)) | changes
    other = GOOD.replace("whisper", "other")
    folder = folder_with(tmp_path, HEAD + other + ",".join(fields.values()) + "\n")
    line = refusal(folder)
    assert line.startswith(f"{folder / 't.csv'}:3: ")
    assert said in line


@pytest.mark.parametrize(
    ("table", "place", "said"),
    [
        (HEAD.replace("probe", "porbe") + GOOD, ":1: ", "unknown column 'porbe'; did you mean 'pr"),
        (HEAD.replace(",task", ",metric") + GOOD, ":1: ", "column 'metric' is there twice"),
        (HEAD.replace(",primary", "") + GOOD, ":1: ", "no column 'primary'; add it"),
        ("", ":1: ", "no column 'system'"),
        (HEAD + GOOD.replace("yes", "yes,more"), ":2: ", "must have 8 fields"),
        (HEAD + GOOD.replace(",yes", ""), ":2: ", "must have 8 fields"),
        (HEAD + GOOD + GOOD, ":3: ", "t.csv:2; keep one of the two"),
        (HEAD + '"whisper' + GOOD, " ", "cannot be read: "),
        (HEAD.encode() + b"\xff" + GOOD.encode(), " ", "cannot be read: "),
    ],
)
def test_a_bad_table_is_refused(table: str | bytes, place: str, said: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, table)
    line = refusal(folder)
    assert line.startswith(f"{folder / 't.csv'}{place}")
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [", "cannot be read"),
        ("sources: {paper: A}", "must hold two mappings, 'sources' and 'data_sets'"),
        ("- a", "must hold two mappings"),
        ("sources: paper\ndata_sets: {}", "'sources' must be a mapping"),
        ("sources: {paper: }\ndata_sets: {}", "'paper' in 'sources' must be a name with a text"),
        ("sources: {1: A}\ndata_sets: {}", "1 in 'sources' must be a name with a text"),
    ],
)
def test_bad_sources_are_refused(text: str, said: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, HEAD + GOOD, text)
    line = refusal(folder)
    assert str(folder / "sources.yaml") in line
    assert said in line


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert f"no folder {absent}" in refusal(absent)
    assert "--published DIR" in refusal(absent)
    folder = folder_with(tmp_path, HEAD + GOOD)
    (folder / "t.csv").unlink()
    assert "no file of published values (*.csv)" in refusal(folder)
    (folder / "sources.yaml").unlink()
    assert "sources.yaml is missing" in refusal(folder)


def test_a_copy_elsewhere_reads_the_same(tmp_path: Path) -> None:
    shutil.copytree(PUBLISHED, tmp_path / "copy")
    assert load_published(tmp_path / "copy") == load_published()
