"""An audit's finding and the results of the same shards: joined, and only these."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clips import audio_bytes, clip_members
from result_files import make_result

from earmark import Leaderboard, audit_tasks, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.io.fields import read_fields
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.result.audit_report import AuditedTask, AuditReport, AuditRun, store
from earmark.benchmark.result.facts import AuditFacts, ShardFact
from earmark.benchmark.result.files import read_result, result_files
from earmark.benchmark.result.schema import ResultError, RunResult

Toy = Callable[..., tuple[Path, Path]]
COUNTS = {
    "clips": 100, "in_two_splits": 0, "twice_in_one_split": 0, "label_conflicts": 0,
    "straddling_sources": 0, "silent": 0, "failed_clips": 0, "unlabelled": 0,
}  # fmt: skip
CLEAN = {"audited": "2026-11-23T15:00:00Z", "parts": "split", **COUNTS}


def leak() -> dict[str, list[tuple[str, bytes]]]:
    """A test clip that is in train too."""
    audio = audio_bytes([0.1, -0.3, 0.2, 0.5] * 900, 16_000)
    return {
        split: clip_members(f"r77{number}-x", audio, {"label": "low"})
        for number, split in enumerate(("train", "test"))
    }


def run(task: Path, data: Path, results: Path, **settings: Any) -> RunResult:
    (result,) = evaluate("logmel", str(task), data=data, results=results, seeds=1, **settings)
    assert result.status == "done", result.error
    return result


def audited(task: Path, data: Path, results: Path) -> tuple[AuditReport, int]:
    """The finding and how many results it was joined to."""
    joined = []
    (finding,) = audit_tasks(
        str(task), data=data, results=results, on_finding=lambda *found: joined.append(found[2])
    )
    assert finding.error is None
    return finding, joined[0]


def test_results_that_are_there_get_the_counts_and_stay_what_they_are(
    toy: Toy, tmp_path: Path
) -> None:
    task, data = toy(extra=leak())
    results = tmp_path / "r"
    before = run(task, data, results)
    limited = run(task, data, results, limit=9)
    predictions = {path: path.read_bytes() for path in results.rglob("*.npz")}
    files = sorted(results.rglob("toy*.json"))
    texts = [json.loads(path.read_text()) for path in files]
    finding, joined = audited(task, data, results)
    assert joined == len(files) == 2
    assert list(result_files(results)) == files  # the finding's own file is none
    for path, text in zip(files, texts, strict=True):
        text["data"]["audit"] = {
            "audited": finding.run.audited, "parts": "split", **COUNTS, "clips": 72,
            "in_two_splits": 2,
        }  # fmt: skip
        assert json.loads(path.read_text()) == text
    assert {path: path.read_bytes() for path in results.rglob("*.npz")} == predictions
    for earlier, limit in ((before, None), (limited, 9)):
        again = run(task, data, results, limit=limit)
        assert again.run == earlier.run  # used again, not made again
        assert again.data.audit.in_two_splits == 2
    changed = [path.stat().st_mtime_ns for path in files]
    assert audited(task, data, results) == (finding, 2)
    assert [path.stat().st_mtime_ns for path in files] == changed


def test_results_written_later_hold_it_too_and_differ_in_nothing_else(
    toy: Toy, tmp_path: Path
) -> None:
    task, data = toy(extra=leak())
    finding, joined = audited(task, data, tmp_path / "after")
    assert joined == 0
    after = run(task, data, tmp_path / "after")
    alone = run(task, data, tmp_path / "alone")
    assert after.data.audit == finding.summary()
    assert alone.data.audit is None
    after.data.audit, after.run = None, alone.run
    assert after == alone


def test_a_result_that_is_used_again_gets_what_it_lacks(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    audited(task, data, tmp_path / "r")
    made = run(task, data, tmp_path / "r")
    (path,) = result_files(tmp_path / "r")
    whole = path.read_text()
    without = json.loads(whole)
    del without["data"]["audit"]
    path.write_text(json.dumps(without))
    assert run(task, data, tmp_path / "r") == made
    assert path.read_text() == whole


@pytest.mark.parametrize("change", ["shards", "declaration"])
def test_other_shards_or_rules_are_not_vouched_for(toy: Toy, tmp_path: Path, change: str) -> None:
    task, data = toy()
    results = tmp_path / "r"
    audited(task, data, results)
    first = run(task, data, results)
    assert first.data.audit.in_two_splits == 0
    if change == "shards":
        toy(extra=leak())
    else:
        task.write_text(task.read_text().replace("r[0-9]+", "r[0-9]"))
    assert run(task, data, results).data.audit is None
    finding, joined = audited(task, data, results)
    assert joined == 1
    assert len(list((results / "audits").iterdir())) == 2
    (path,) = result_files(results)
    assert read_result(path).data.audit == finding.summary()


def test_only_results_of_the_very_same_are_joined(tmp_path: Path) -> None:
    finding = AuditReport(
        AuditedTask("one", "One", "d", "split", "file"), synthetic=False,
        shards=[ShardFact("a.tar", "test", "00")], counts=dict(COUNTS),
        run=AuditRun(audited="then"),
    )  # fmt: skip
    results = {
        "same": make_result("one"),
        "renamed": make_result("one", encoder="mfcc"),
        "other task": make_result("two"),
        "synthetic": make_result("one", synthetic=True),
        "other shard": make_result("one", shard="01"),
        "swapped": make_result("one"),
        "read otherwise": make_result("one"),
        "other rule": make_result("one"),
        "failed": make_result("one", error="no"),
    }
    results["renamed"].data.shards[0].name = "b.tar"
    # a protocol may take one split for another, or read the declaration otherwise
    results["swapped"].data.shards[0].split = "train"
    results["read otherwise"].task.digest, results["read otherwise"].task.declared = "e", "d"
    results["other rule"].task.digest = "e"
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(result.to_json())
    (tmp_path / "broken.json").write_text("{")
    path, joined = store(finding, tmp_path)
    assert joined == 3
    found = {p.stem: read_result(p).data.audit is not None for p in tmp_path.glob("[!b]*.json")}
    assert found == {name: name in ("same", "swapped", "read otherwise") for name in results}
    assert path.is_relative_to(tmp_path / "audits")


def test_tables_tell_leaks_and_what_is_clean() -> None:
    leaky = {**CLEAN, "parts": "fold", "in_two_splits": 3}
    board = Leaderboard(
        [
            make_result("a", audit=CLEAN),
            make_result("a", encoder="mfcc", audit=CLEAN),
            make_result("b", audit=leaky),
            make_result("b", encoder="mfcc", audit=leaky),
            make_result("c", audit=CLEAN),
            make_result("d"),
        ]
    )
    assert [note for note in board.tables[0].footnotes if "audited" in note] == [
        "b: LEAK: 3 of 100 clips have a copy in another fold (audited 2026-11-23)",
        "audited, no clip has a copy in another split or fold: a, c",
    ]
    assert "b: LEAK: 3 of 100" in to_markdown(board)


def test_an_audit_in_a_result_that_cannot_be_shown_is_refused() -> None:
    for audit in ({}, [], {**CLEAN, "in_two_splits": "3"}, {**CLEAN, "audited": None}):
        raw = json.loads(make_result("a").to_json())
        raw["data"]["audit"] = audit
        with pytest.raises(ResultError, match=r"not a result file \(data.audit"):
            RunResult.from_json(json.dumps(raw))
    again = RunResult.from_json(make_result("a", audit=CLEAN).to_json())
    assert again.data.audit == read_fields(AuditFacts, CLEAN)


def test_a_finding_that_cannot_be_read_is_none(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    finding, _ = audited(task, data, tmp_path / "r")
    (file,) = (tmp_path / "r" / "audits").iterdir()
    whole = file.read_text()
    changes = {'"schema": 1': '"schema": 2', '"in_two_splits": 0': '"in_two_splits": "no"'}
    edited = [whole.replace(*change) for change in changes.items()]
    for text in ("", "[]", "{}", whole[:-9], whole.replace('"counts"', '"count"'), *edited):
        file.write_text(text)
        assert run(task, data, tmp_path / "r").data.audit is None
    assert audited(task, data, tmp_path / "r")[0].counts == finding.counts
    assert json.loads(file.read_text())["counts"] == finding.counts


def test_run_audit_and_leaderboard_together(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy(extra=leak())
    folders = ["--data", str(data), "--results", str(tmp_path / "r")]
    assert main(["--encoder", "logmel", "--tasks", str(task), "--seeds", "1", *folders]) == 0
    assert main(["audit", "--tasks", str(task), *folders]) == 1
    out, err = capsys.readouterr()
    assert f"Findings under {tmp_path / 'r' / 'audits'}; joined to 1 result of these shards" in err
    assert main(["leaderboard", "--results", str(tmp_path / "r")]) == 0  # nothing left out
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"toy: LEAK: 2 of 72 clips have a copy in another split", out)


def test_finding_is_joined_to_results_of_both_protocols(tmp_path: Path) -> None:
    """Clotho's splits change places under xares-0.1.3, which changes nothing on its audio."""
    settings: dict[str, Any] = {"data": "synthetic", "cache": tmp_path / "c", "results": tmp_path}
    (finding,) = audit_tasks("clotho", **settings)
    data = [
        evaluate("mfcc", "clotho", limit=10, protocol=protocol, **settings)[0].data
        for protocol in (STRICT, replace(STRICT, name="swapped", swapped_splits=("clotho",)))
    ]
    assert [one.audit for one in data] == [finding.summary()] * 2
