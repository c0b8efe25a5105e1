"""The audit of whole tasks: leaks planted in shards are found, counted and named."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from clips import TASK_YAML, audio_bytes, clip_members, write_tar
from planted import RATE, Members, audit, counts, noise, planted

from earmark import audit_tasks, evaluate
from earmark.benchmark.audio.decode import AudioError
from earmark.benchmark.audit import shard_hashes as hashed_shards
from earmark.benchmark.cli.main import main

Toy = Callable[..., tuple[Path, Path]]


def command(task: Path | str, data: Path | str, results: Path, *more: object) -> int:
    words = ["audit", "--tasks", task, "--data", data, "--results", results, *more]
    return main([str(word) for word in words])


def keys_of(copies: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(clip["split"], clip["key"], clip["label"]) for clip in copies["clips"]]


def test_clean_data_are_clean(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, data = toy()
    assert command(task, data, tmp_path / "r") == 0
    out = capsys.readouterr().out
    assert re.search(r"^toy +70( +0){6}$", out, re.MULTILINE)
    assert "1 of 1 tasks audited: no clip has a copy in another split or fold" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    finding = audit(task, data, tmp_path / "r")
    assert finding.counts == counts(clips=70)
    assert not finding.leaks
    assert (finding.pairs, finding.copies, finding.straddling, finding.failures) == ([], [], [], [])


def test_every_planted_fault_is_found_counted_and_named(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = {
        "train": [
            *planted("r900-a", noise(1)),
            *planted("r901-quiet", np.zeros(800, np.int16)),
            *planted("r902-twice", noise(2), "high"),
            *planted("r903-again", noise(2), "high"),
            *planted("r904-low", noise(3), "low"),
            *clip_members("r905-broken", b"RIFF of nothing", {"label": "neither"}),
            ("r906-alone.wav", audio_bytes(noise(4), RATE)),
        ],
        "valid": planted("r907-high", noise(3), "high"),
        "test": [
            *planted("r908-renamed", np.pad(noise(1), (70, 5)), suffix="flac"),
            *planted("r909-quiet", np.zeros(900, np.int16)),
            *planted("r900-other", noise(5)),
            *planted("r910-odd", noise(6), "neither"),
        ],
    }
    task, data = toy(extra=extra)
    finding = audit(task, data, tmp_path / "r")
    assert finding.counts == counts(
        clips=82, in_two_splits=4, twice_in_one_split=2, label_conflicts=2, straddling_sources=1,
        silent=2, failed_clips=2, unlabelled=1,
    )  # fmt: skip
    assert finding.leaks
    assert finding.pairs == [
        {"splits": ["train", "valid"], "clips": [1, 1]},
        {"splits": ["train", "test"], "clips": [1, 1]},
    ]
    renamed, twice, conflict = finding.copies
    assert keys_of(renamed) == [("train", "r900-a", "low"), ("test", "r908-renamed", "low")]
    assert (renamed["across"], renamed["conflict"]) == (True, False)
    assert renamed["differ_by"] == ["silence"]
    assert [clip["source"] for clip in renamed["clips"]] == ["r900", "r908"]
    assert keys_of(twice) == [("train", "r902-twice", "high"), ("train", "r903-again", "high")]
    assert (twice["across"], twice["conflict"], twice["differ_by"]) == (False, False, [])
    assert keys_of(conflict) == [("train", "r904-low", "low"), ("valid", "r907-high", "high")]
    assert (conflict["across"], conflict["conflict"]) == (True, True)
    assert finding.straddling == [{"source": "r900", "clips": {"train": 1, "test": 1}}]
    assert [clip["key"] for clip in finding.silent] == ["r901-quiet", "r909-quiet"]
    assert [failure["key"] for failure in finding.failures] == ["r905-broken", "r906-alone"]
    assert [failure["key"] for failure in finding.unlabelled] == ["r910-odd"]

    assert command(task, data, tmp_path / "r") == 1
    out = capsys.readouterr().out
    assert re.search(r"^toy +82 +4 +2 +2 +1 +2 +2$", out, re.MULTILINE)
    assert "splits train and test: 1 of train is in test too, 1 of test in train" in out
    same = "train-000.tar/r900-a = test-000.tar/r908-renamed (but for silence)"
    assert same in out
    assert "train-000.tar/r904-low (low) = valid-000.tar/r907-high (high)" in out
    assert "r900: 1 in train, 1 in test" in out
    for key in ("r901-quiet", "r902-twice", "r905-broken", "r906-alone", "r910-odd"):
        assert f"train-000.tar/{key}" in out or f"test-000.tar/{key}" in out
    assert "1 of 1 tasks audited: audio of one split or fold is in another: toy" in out


def test_a_lossy_copy_is_not_claimed_to_be_found(toy: Toy, tmp_path: Path) -> None:
    """What the README says is not found: else it must say otherwise."""
    extra = {
        "train": planted("r900-a", noise(1)),
        "test": [
            *planted("r901-ogg", noise(1), suffix="ogg"),
            *planted("r902-half", noise(1) // 2),
            *planted("r903-part", noise(1)[1:]),
        ],
    }
    task, data = toy(extra=extra)
    assert audit(task, data, tmp_path / "r").counts == counts(clips=74)


def test_all_that_is_found_is_in_the_file_though_few_are_shown(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [member for n in range(9) for member in planted(f"r9{n}-x", noise(n))]
    task, data = toy(extra={"train": both, "test": both})
    assert command(task, data, tmp_path / "r") == 1
    out = capsys.readouterr().out
    (file,) = (tmp_path / "r" / "audits").iterdir()
    assert len(json.loads(file.read_text())["copies"]) == 9
    assert out.count("train-000.tar/r9") == 5
    assert out.count("and 4 more, named in the file") == 2  # copies and sources
    assert file.name in out


def fold_task(tmp_path: Path, folds: dict[str, Members]) -> tuple[Path, Path]:
    """A task of folds with these clips."""
    patterns = "{" + ", ".join(f"{name}: fold-{name}.tar" for name in folds) + "}"
    task = tmp_path / "folded.yaml"
    splits = "splits: {train: train-*.tar, valid: valid-*.tar, test: test-*.tar}"
    task.write_text(TASK_YAML.replace(splits, f"folds: {patterns}"))
    for name, members in folds.items():
        write_tar(tmp_path / "data" / "toy" / f"fold-{name}.tar", members)
    return task, tmp_path / "data"


def test_every_pair_of_folds_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds: dict[str, Members] = {str(n): planted(f"r{n}-own", noise(10 + n)) for n in range(4)}
    for fold in "013":
        folds[fold] += planted(f"r5{fold}-everywhere", noise(1))
    folds["1"] += planted("r60-more", noise(1))
    folds["2"] += planted("r61-two", noise(2))
    folds["3"] += planted("r62-two", -noise(2))
    task, data = fold_task(tmp_path, folds)
    finding = audit(task, data, tmp_path / "r")
    assert finding.counts == counts(clips=10, in_two_splits=6, twice_in_one_split=2)
    assert [(pair["splits"], pair["clips"]) for pair in finding.pairs] == [
        (["0", "1"], [1, 2]), (["0", "3"], [1, 1]), (["1", "3"], [2, 1]), (["2", "3"], [1, 1]),
    ]  # fmt: skip
    assert finding.copies[1]["differ_by"] == ["polarity"]
    assert command(task, data, tmp_path / "r") == 1
    assert "folds 0 and 1: 1 of 0 is in 1 too, 2 of 1 in 0" in capsys.readouterr().out


def test_a_shard_that_is_in_two_splits_is_a_leak_of_all_its_clips(toy: Toy, tmp_path: Path) -> None:
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    shutil.copy(data / "toy" / "valid-000.tar", data / "toy" / "test-000.tar")
    finding = audit(task, data, tmp_path / "r")
    assert finding.counts == counts(clips=14, in_two_splits=8, straddling_sources=2)


def test_sources_that_straddle_are_those_of_the_result_and_no_failure(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy(
        extra={
            "train": planted("r2000-mine", noise(1)),
            "valid": [
                *planted("r0003-mine", noise(2)),
                *planted("r2001-mine", noise(3)),
                # without a usable label it is no item, so its source is in train alone
                *planted("r0004-mine", noise(4), "unknown"),
                *planted("odd", noise(5)),  # the rule finds no source
            ],
            "test": planted("odd", noise(6)),
        }
    )
    finding = audit(task, data, tmp_path / "r")
    assert {one["source"] for one in finding.straddling} == {"r2000", "r0003", "r2001"}
    (result,) = evaluate("logmel", str(task), data=data, results=tmp_path / "s", failed_share=0.1)
    assert result.data.straddling_sources == finding.counts["straddling_sources"] == 3
    assert command(task, data, tmp_path / "r") == 0
    assert "sources (recording) in more than one split: 3" in capsys.readouterr().out


def test_captions_of_one_sound_may_differ(tmp_path: Path) -> None:
    task = tmp_path / "said.yaml"
    text = TASK_YAML.replace(
        "label: {kind: class, field: label}", "label: {kind: captions, fields: [one]}"
    )
    text = text.replace("classes: [low, high]\n", "").replace("accuracy", "recall@1\nknn: false")
    task.write_text(text)
    for split, words in (("train", "a bell"), ("valid", "a gong"), ("test", "a chime")):
        members = clip_members(f"r{len(words)}-x", audio_bytes(noise(1), RATE), {"one": words})
        write_tar(tmp_path / "data" / "toy" / f"{split}-0.tar", members)
    finding = audit(task, tmp_path / "data", tmp_path / "r")
    assert finding.counts["in_two_splits"] == 3
    assert finding.counts["label_conflicts"] == 0


def test_events_of_one_sound_that_differ_are_a_conflict(tmp_path: Path) -> None:
    task = tmp_path / "timed.yaml"
    text = TASK_YAML.replace("kind: class, field: label", "kind: events")
    text = text.replace("accuracy", "segment_f1_macro\nsegment_seconds: 1.0\nknn: false")
    task.write_text(text)
    for split, onset in (("train", 0.0), ("valid", 0.0), ("test", 0.1)):
        event = {"onset": onset, "offset": 0.3, "label": "low"}
        members = clip_members(f"r{split}-x", audio_bytes(noise(1), RATE), [event])
        write_tar(tmp_path / "data" / "toy" / f"{split}-0.tar", members)
    finding = audit(task, tmp_path / "data", tmp_path / "r")
    assert finding.counts["label_conflicts"] == 3
    assert [clip["label"] for clip in finding.copies[0]["clips"]] == [
        "low 0-0.3 s", "low 0-0.3 s", "low 0.1-0.3 s",
    ]  # fmt: skip


def test_what_cannot_be_audited_is_said_and_the_rest_goes_on(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy()
    other = tmp_path / "other.yaml"
    other.write_text(task.read_text().replace("folder: toy", "folder: absent"))
    assert command(other, data, tmp_path / "r", "--tasks", task) == 3
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("not audited")]
    assert line.startswith("not audited: other: no shards for split train: nothing matches")
    assert "1 of 2 tasks audited: no clip has a copy" in out
    # a leak weighs more than a task that is not there
    leak = {"train": planted("r9-a", noise(1)), "test": planted("r9-b", noise(1))}
    toy(extra=leak)
    assert command(other, data, tmp_path / "r", "--tasks", task) == 1
    # of nothing but broken clips nothing is known, which is not to be clean
    for split in ("train", "valid", "test"):
        write_tar(data / "toy" / f"{split}-000.tar", clip_members("r1-a", b"x", {"label": "low"}))
    assert command(task, data, tmp_path / "r") == 3
    out = capsys.readouterr().out
    assert "none of its 3 clips can be decoded; the first: test-000.tar/r1-a: " in out
    assert "0 of 1 tasks audited: nothing is known" in out
    write_tar(data / "toy" / "train-000.tar", [])
    write_tar(data / "toy" / "valid-000.tar", [])
    write_tar(data / "toy" / "test-000.tar", [])
    (finding,) = audit_tasks(str(task), data=data, results=tmp_path / "r")
    assert str(finding.error).startswith("its shards hold no clip")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "esc5"], "esc50"),
        (["--data", "nowhere"], "no folder nowhere"),
        (["--workers", "0"], "must be a whole number above 0"),
        (["--limit", "5"], "unrecognized arguments: --limit"),
    ],
)
def test_what_cannot_start_says_why_in_a_line(
    words: list[str], said: str, toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, data = toy()
    given = ["audit", "--data", str(data), "--results", str(tmp_path / "r"), *words]
    try:
        status = main(given)
    except SystemExit as ended:
        status = int(str(ended.code))
    assert status == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_read(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy()
    (tmp_path / "file").touch()
    assert command(task, data, tmp_path / "file") == 2
    assert "results cannot be written there" in capsys.readouterr().err


def test_synthetic_twins_are_audited_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("librispeech_mf", "synthetic", tmp_path / "r") == 0
    assert capsys.readouterr().out.startswith("SYNTHETIC data")
    (file,) = (tmp_path / "r" / "audits").iterdir()
    assert re.fullmatch(r"librispeech_mf-[0-9a-f]{12}\.synthetic\.json", file.name)
    assert json.loads(file.read_text())["synthetic"] is True


def test_the_real_digits_have_no_copies_and_six_speakers_in_all_folds(
    real_data: Path, tmp_path: Path
) -> None:
    task = Path(__file__).parents[1] / "data" / "fsdd.yaml"
    finding = audit(task, real_data, tmp_path / "r")
    assert finding.counts == counts(clips=3000, straddling_sources=6)
    assert all(list(one["clips"].values()) == [100] * 5 for one in finding.straddling)


def test_formats_of_the_test_itself() -> None:
    """A flac holds the very samples of the wav, or planting it would prove nothing."""
    read, rate = soundfile.read(io.BytesIO(audio_bytes(noise(1), RATE, "flac")), dtype="int16")
    assert rate == RATE
    assert np.array_equal(read, noise(1))
    with pytest.raises(AudioError):
        hashed_shards.hash_audio(b"RIFF of nothing")
