"""`prepare` from a table of one's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import audio_bytes
from original_trees import sound, text

from earmark.benchmark.cli.main import main
from earmark.benchmark.prepare.run import Prepared, prepare_manifest
from earmark.benchmark.prepare.source_folder import LayoutError
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.labels import read_labels
from earmark.tasks import TaskError, read_task

GOOD = """\
path,label,split,source
dogs/rex 1.wav,bark,train,rex
dogs/rex 2.wav,yes,train,rex
cats/tom.wav,meow,valid,tom
cats/tom.flac,meow,test,tim
"""
FILES = ("dogs/rex 1.wav", "dogs/rex 2.wav", "cats/tom.wav", "cats/tom.flac")


def prepared(tmp_path: Path, table: str = GOOD, name: str = "mine", **options: Any) -> Prepared:
    for number, file in enumerate(FILES):
        sound(tmp_path / "o" / file, number)
    text(tmp_path / "clips.csv", table)
    return prepare_manifest(name, tmp_path / "o", tmp_path / "clips.csv", tmp_path / "d", **options)


def labels(done: Prepared, data: Path) -> dict[str, tuple[str, list[str], str | None]]:
    found = {}
    for part in open_dataset(done.spec, data).shards:
        known, failures = read_labels(part.shard, done.spec)
        assert failures == []
        for key, label in known.items():
            named = [done.spec.classes[index] for index in label.label]
            found[key] = (part.split, named, label.source)
    return found


def test_a_table_becomes_a_task(tmp_path: Path) -> None:
    done = prepared(tmp_path, domain="speech")
    assert done.task_file == tmp_path / "d/mine.yaml"
    spec = read_task(done.task_file)
    assert (spec.name, spec.domain, spec.classes) == ("mine", "speech", ("bark", "meow", "yes"))
    assert (spec.metric, spec.knn, list(spec.splits)) == (
        "accuracy",
        True,
        ["train", "valid", "test"],
    )
    found = labels(done, tmp_path / "d")
    assert found.pop("dogs_rex_1") == ("train", ["bark"], "rex")
    assert found.pop("dogs_rex_2") == ("train", ["yes"], "rex")
    # of one name but for the suffix: told apart
    assert {key.partition("-")[0] for key in found} == {"cats_tom"}
    assert sorted(value for value in found.values()) == [
        ("test", ["meow"], "tim"), ("valid", ["meow"], "tom"),
    ]  # fmt: skip


def test_several_labels_and_folds(tmp_path: Path) -> None:
    table = (
        "path,labels,fold\ndogs/rex 1.wav,bark;growl,a\ndogs/rex 2.wav,growl,a\n"
        "cats/tom.wav,meow; growl,b\ncats/tom.flac,meow,c\n"
    )
    done = prepared(tmp_path, table)
    spec = done.spec
    assert (spec.metric, spec.knn, spec.label.kind) == ("mAP", False, "multilabel")
    assert list(spec.folds) == ["a", "b", "c"]
    found = labels(done, tmp_path / "d")
    assert found["dogs_rex_1"] == ("a", ["bark", "growl"], None)
    assert sorted(value[:2] for value in found.values())[2] == ("b", ["growl", "meow"])
    assert spec.source.by_clip


def test_other_columns_go_into_the_json(tmp_path: Path) -> None:
    done = prepared(tmp_path, GOOD.replace("source", "microphone"), columns="microphone")
    (path,) = done.packed.folder.glob("*valid*.tar")
    assert b'{"label": "meow", "microphone": "tom"}' in path.read_bytes()
    assert done.spec.source.by_clip


BAD = {
    "absolute": (GOOD.replace("cats/tom.wav", "/etc/passwd"), "line 4: '/etc/passwd' is not a pa"),
    "above": (GOOD.replace("cats/tom.wav", "../o/cats/tom.wav"), "line 4: '../o/cats/tom.wav' is"),
    "within, by ..": (GOOD.replace("cats/tom.wav", "dogs/../cats/tom.wav"), "line 4: 'dogs/../ca"),
    "no path": (GOOD.replace("path", "file"), "has no column 'path'"),
    "no label": ("path,split\na.wav,test\n", "one of the columns 'label' and 'labels'"),
    "empty source": (GOOD.replace(",tim", ","), "line 5: an empty source"),
    "both labels": ("path,label,labels,fold\na,b,c,d\n", "one of the columns 'label' and 'labels'"),
    "no split": ("path,label\na.wav,x\n", "one of the columns 'split' and 'fold'"),
    "unknown split": (GOOD.replace(",valid,", ",dev,"), "line 4: split 'dev' is none of train,"),
    "odd fold": ("path,label,fold\na.wav,x,../b\n", "line 2: fold '../b' may hold only letters"),
    "empty label": (GOOD.replace("meow,valid", ",valid"), "line 4: an empty label"),
    "several in label": (GOOD.replace("bark", "bark;growl"), "name the column 'labels' for them"),
    "twice": (GOOD + "cats/tom.wav,bark,test,tom\n", "names 'cats/tom.wav' twice"),
    "short row": (GOOD + "a.wav,bark\n", "line 6 does not have 4 columns"),
    "long row": (GOOD + "a, b.wav,bark,test,x\n", "line 6 does not have 4 columns"),
    "no rows": ("path,label,split\n", "has no rows"),
    "columns twice": ("path,label,label,split\na,b,c,test\n", "two columns of one name"),
    "empty file": ("", "has no column 'path'"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_table_is_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    table, words = BAD[fault]
    with pytest.raises(LayoutError) as caught:
        prepared(tmp_path, table)
    assert words in str(caught.value)
    assert str(tmp_path / "clips.csv") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "d").exists()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "secret.wav", "secret")
    prepared(tmp_path)
    (tmp_path / "o/dogs/rex 1.wav").unlink()
    (tmp_path / "o/dogs/rex 1.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(LayoutError, match=r"line 2: 'dogs/rex 1.wav' is a link that leads out of"):
        prepare_manifest("b", tmp_path / "o", tmp_path / "clips.csv", tmp_path / "e")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("esc50", "a task named 'esc50' comes with Earmark"),
        ("My task", "may hold only a-z"),
        ("../mine", "may hold only a-z"),
        ("sound", "means a group of tasks"),
    ],
)
def test_names_that_cannot_be(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        prepared(tmp_path, name=name)
    assert words in str(caught.value) and "/tmp" not in str(caught.value)
    assert not (tmp_path / "d").exists()


def test_splits_that_do_not_make_a_task(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="task mine: 'splits' needs train and test"):
        prepared(tmp_path, GOOD.replace(",test,", ",train,"))
    with pytest.raises(TaskError, match="task mine: 'classes' must be a list of two names"):
        prepared(tmp_path, GOOD.replace("bark", "meow").replace("yes", "meow"))


def test_what_was_filled_in_by_hand_stays(tmp_path: Path) -> None:
    done = prepared(tmp_path)
    assert done.task_file is not None
    edited = done.task_file.read_text().replace("title: mine", "title: Cats and dogs")
    done.task_file.write_text(edited)
    assert prepared(tmp_path).spec.title == "Cats and dogs"
    with pytest.raises(TaskError, match="is there already and declares another task"):
        prepared(tmp_path, GOOD.replace("bark", "growl"))


def test_the_command_runs_to_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a table to a result: low and high tones, which logmel must tell apart."""
    rng = np.random.default_rng(0)
    rows = ["path,label,split,source"]
    (tmp_path / "o").mkdir()
    for number in range(40):
        label = ("low", "high")[number % 2]
        time = np.arange(4_000) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * (300, 1500)[number % 2] * rng.uniform(0.9, 1.1) * time)
        noise = 0.02 * rng.standard_normal(4_000)
        (tmp_path / f"o/{number}.wav").write_bytes(audio_bytes(tone + noise, 16_000))
        rows.append(f"{number}.wav,{label},{'train' if number < 28 else 'test'},s{number // 2}")
    text(tmp_path / "clips.csv", "\n".join(rows) + "\n")
    data = str(tmp_path / "d")
    words = ["--from", str(tmp_path / "o"), "--manifest", str(tmp_path / "clips.csv")]
    assert main(["prepare", "tones", *words, "--data", data]) == 0
    capsys.readouterr()
    folders = ["--data", data, "--results", str(tmp_path / "r")]
    run = ["--encoder", "logmel", "--tasks", str(tmp_path / "d/tones.yaml"), *folders]
    assert main([*run, "--seeds", "1", "--device", "cpu"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "tones" in line)
    assert float(line.split()[5]) > 0.9  # kNN


def test_the_command_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text(tmp_path / "clips.csv", GOOD)
    words = ["prepare", "mine", "--manifest", str(tmp_path / "no.csv"), "--from", str(tmp_path)]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "no.csv cannot be read (No such file or directory)" in err
    assert len(err.splitlines()) == 1
