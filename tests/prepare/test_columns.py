"""Columns of a table of one's own files: called otherwise, unknown, of events; absolute paths."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from original_trees import sound, text

from earmark.benchmark.cli.main import main
from earmark.benchmark.prepare.run import Prepared, prepare_manifest
from earmark.benchmark.prepare.source_folder import LayoutError
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.labels import Labelled, read_labels

FILES = ("a.wav", "b.wav", "deep/c.wav")
DIGITS = "path,digit,split,speaker_id,mic\na.wav,1,train,ann,x\nb.wav,2,train,bob,y\n"
DIGITS += "deep/c.wav,1,test,cat,z\n"
EVENTS = """\
path,onset,offset,label,split,source
a.wav,0.25,1,Dog,train,s1
a.wav,0.5,0.75,"Cat,Dog",train,s1
b.wav,,,,train,s2
deep/c.wav,0,0.5,Cat,test,s3
"""


def prepared(tmp_path: Path, table: str, **options: Any) -> Prepared:
    for number, file in enumerate(FILES):
        sound(tmp_path / "o" / file, number)
    text(tmp_path / "clips.csv", table)
    return prepare_manifest(
        "mine", tmp_path / "o", tmp_path / "clips.csv", tmp_path / "d", **options
    )


def refusal(tmp_path: Path, table: str, **options: Any) -> str:
    with pytest.raises(LayoutError) as caught:
        prepared(tmp_path, table, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "d").exists()
    return str(caught.value)


def read(done: Prepared, data: Path) -> dict[str, Labelled]:
    found = {}
    for part in open_dataset(done.spec, data).shards:
        known, failures = read_labels(part.shard, done.spec)
        assert failures == []
        found |= known
    return found


def jsons(done: Prepared) -> dict[str, Any]:
    found = {}
    for path in done.packed.folder.glob("*.tar"):
        with tarfile.open(path) as shard:
            for member in shard:
                if member.name.endswith(".json"):
                    file = shard.extractfile(member)
                    assert file is not None
                    found[member.name] = json.loads(file.read())
    return found


# ---- names of columns


@pytest.mark.parametrize(
    ("head", "meant"),
    [
        ("speaker", "source"), ("Speaker_ID", "source"), ("actor", "source"), ("sorce", "source"),
        ("recording", "source"),
    ],
)  # fmt: skip
def test_an_unknown_column_is_refused_with_what_may_be_meant(
    tmp_path: Path, head: str, meant: str
) -> None:
    said = refusal(tmp_path, f"path,label,split,{head}\na.wav,x,train,ann\nb.wav,y,test,bob\n")
    assert f"unknown column {head!r}; did you mean {meant!r}? --columns {meant}={head}" in said
    assert f"--columns {head} keeps it" in said


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,label,split,mic\na.wav,x,train,m\n", "unknown column 'mic' (known are path, label"),
        ("path,class,split\na.wav,x,train\n", "unknown column 'class'; did you mean 'label'?"),
        ("filename,label,split\na.wav,x,train\n", "is it 'filename'? --columns path=filename"),
        ("path,label,subset\na.wav,x,train\n", "unknown column 'subset'; did you mean 'split'?"),
        # the name that is meant is taken: nothing is suggested
        (
            "path,label,split,source,speaker\na.wav,x,train,s,p\n",
            "unknown column 'speaker' (known are",
        ),
    ],
)
def test_other_unknown_columns(tmp_path: Path, table: str, words: str) -> None:
    assert words in refusal(tmp_path, table)


def test_columns_of_other_names(tmp_path: Path) -> None:
    done = prepared(tmp_path, DIGITS, columns="label=digit, source=speaker_id,mic")
    found = read(done, tmp_path / "d")
    assert done.spec.classes == ("1", "2") and done.spec.source.field == "source"
    assert found == {
        "a": Labelled((0,), "ann"), "b": Labelled((1,), "bob"), "deep_c": Labelled((0,), "cat"),
    }  # fmt: skip
    assert jsons(done)["a.json"] == {"label": "1", "source": "ann", "mic": "x"}


def test_all_other_columns_are_kept_by_a_star(tmp_path: Path) -> None:
    done = prepared(tmp_path, DIGITS, columns="label=digit,*")
    assert done.spec.source.by_clip
    assert jsons(done)["b.json"] == {"label": "2", "speaker_id": "bob", "mic": "y"}


def test_two_columns_may_swap_their_names(tmp_path: Path) -> None:
    table = "path,source,split,label\na.wav,x,train,ann\nb.wav,y,test,bob\n"
    done = prepared(tmp_path, table, columns="label=source,source=label")
    assert read(done, tmp_path / "d")["b"] == Labelled((1,), "bob")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("label=number", "has no column 'number', which --columns takes for 'label'"),
        ("lable=digit", "'lable' is no column of a table; did you mean 'label'?"),
        ("colour=digit", "'colour' is no column of a table; known are path, label"),
        ("label=", "give each name one column"),
        ("label=digit,label=mic", "give each name one column"),
        ("label=digit,source=digit", "give each name one column"),
        ("label=digit,source=speaker_id,mice", "has no column 'mice'"),
        ("path=digit,label=mic", "has a column 'path' too, beside 'digit'"),
    ],
)
def test_bad_columns_are_refused(tmp_path: Path, columns: str, words: str) -> None:
    assert words in refusal(tmp_path, DIGITS, columns=columns)


def test_the_command_takes_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared(tmp_path, DIGITS, columns="label=digit,*")
    words = ["prepare", "other", "--from", str(tmp_path / "o"), "--data", str(tmp_path / "e")]
    table = [
        "--manifest",
        str(tmp_path / "clips.csv"),
        "--columns",
        "label=digit,source=speaker_id",
    ]
    assert main([*words, *table]) == 2
    assert "unknown column 'mic'" in capsys.readouterr().err
    assert main([*words, *table[:-1], table[-1] + ",mic"]) == 0
    assert "other: 3 clips" in capsys.readouterr().out
    assert main([*words, *table[2:]]) == 2
    assert "give it with --manifest" in capsys.readouterr().err


# ---- events


@pytest.mark.parametrize("times", ["onset,offset", "start,end"])
def test_columns_of_times_mean_events(tmp_path: Path, times: str) -> None:
    done = prepared(tmp_path, EVENTS.replace("onset,offset", times))
    spec = done.spec
    assert (spec.label.kind, spec.metric, spec.knn) == ("events", "segment_f1_macro", False)
    assert spec.classes == ("Cat", "Dog") and spec.segment_seconds == 1.0
    assert read(done, tmp_path / "d") == {
        "a": Labelled(((0.25, 1.0, 1), (0.5, 0.75, 0), (0.5, 0.75, 1)), "s1"),
        "b": Labelled((), "s2"),
        "deep_c": Labelled(((0.0, 0.5, 0),), "s3"),
    }
    assert sum(done.packed.clips.values()) == 3


def test_a_row_of_nan_is_a_clip_in_which_nothing_is_heard(tmp_path: Path) -> None:
    done = prepared(tmp_path, EVENTS.replace("b.wav,,,,", "b.wav,NaN,nan,,"))
    assert read(done, tmp_path / "d")["b"] == Labelled((), "s2")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.25,1,", "2,1,", "line 2: its onset 2 s is not before its offset 1 s"),
        ("0.25,1,", "soon,1,", "line 2: its onset is no time in seconds: 'soon'"),
        ("0.25,1,", "-1,1,", "line 2: its onset is no time in seconds: '-1'"),
        ("0.25,1,", "0.25,inf,", "line 2: its offset is no time in seconds: 'inf'"),
        ("0.25,1,Dog", "0.25,1,", "line 2: an empty label"),
        ("0.25,1,Dog", ",,", "line 2: an empty label"),  # not alone in its file
        ("0.25,1,Dog", "0.25,1,Dog;Cat", "line 2: 'Dog;Cat' looks like several labels"),
        ("b.wav,,,,", "b.wav,,,Dog,", "line 4: its onset is no time in seconds: ''"),
        ('"Cat,Dog",train', "Cat,test", "line 3: 'a.wav' has another split than in line 2"),
        ('"Cat,Dog",train,s1', "Cat,train,s9", "line 3: 'a.wav' has another source than in line 2"),
        ("onset,offset", "onset,end", "needs both of the columns 'onset' and 'offset'"),
    ],
)
def test_bad_event_rows_are_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in EVENTS
    assert words in refusal(tmp_path, EVENTS.replace(old, new))


# ---- labels that are values


@pytest.mark.parametrize("values", [("0.37", "1"), ("1.0", "2.0"), ("1e3", "2"), ("nan", "1")])
def test_labels_that_are_numbers_with_a_fraction_are_refused(
    tmp_path: Path, values: tuple[str, str]
) -> None:
    table = f"path,label,split\na.wav,{values[0]},train\nb.wav,{values[1]},test\n"
    said = refusal(tmp_path, table)
    assert f"line 2: label {values[0]!r} is a number with a fraction" in said


def test_whole_numbers_and_names_with_digits_are_classes(tmp_path: Path) -> None:
    done = prepared(tmp_path, "path,label,split\na.wav,1,train\nb.wav,-2,test\n")
    assert done.spec.classes == ("-2", "1")
    (tmp_path / "d/mine.yaml").unlink()
    done = prepared(tmp_path / "e", "path,label,split\na.wav,2.4,train\nb.wav,v1.5,test\n")
    assert done.spec.classes == ("2.4", "v1.5")


def test_one_letter_in_two_ways_is_one_class(tmp_path: Path) -> None:
    table = "path,label,split\na.wav,caf\u00e9,train\nb.wav,cafe\u0301,test\ndeep/c.wav,x,train\n"
    assert prepared(tmp_path, table).spec.classes == ("caf\u00e9", "x")


# ---- absolute paths


def test_an_absolute_path_inside_the_folder_is_its_relative_one(tmp_path: Path) -> None:
    relative = "path,label,split\na.wav,x,train\ndeep/c.wav,y,test\n"
    plain = prepared(tmp_path, relative)
    expected = {path.name: path.read_bytes() for path in plain.packed.folder.glob("*.tar")}
    absolute = relative.replace("a.wav", f"{tmp_path}/o/a.wav")
    (tmp_path / "link").symlink_to(tmp_path / "o")
    text(tmp_path / "absolute.csv", absolute.replace("deep", f"{tmp_path}/link/deep"))
    text(tmp_path / "real.csv", absolute.replace("deep", f"{tmp_path}/o/deep"))
    for number, (folder, table) in enumerate(
        [("o", "real"), ("link", "absolute"), ("link", "real")]
    ):
        data = tmp_path / f"d{number}"
        done = prepare_manifest("mine", tmp_path / folder, tmp_path / f"{table}.csv", data)
        assert {p.name: p.read_bytes() for p in done.packed.folder.glob("*.tar")} == expected


@pytest.mark.parametrize("path", ["{0}/o2/a.wav", "{0}/o/../secret.wav", "{0}/o", "/etc/passwd"])
def test_an_absolute_path_outside_is_refused(tmp_path: Path, path: str) -> None:
    table = f"path,label,split\na.wav,x,train\n{path.format(tmp_path)},y,test\n"
    assert "is not a path inside" in refusal(tmp_path, table)


def test_a_file_named_both_ways_is_named_twice(tmp_path: Path) -> None:
    table = f"path,label,split\na.wav,x,train\n{tmp_path}/o/a.wav,y,test\n"
    assert "names 'a.wav' twice" in refusal(tmp_path, table)
