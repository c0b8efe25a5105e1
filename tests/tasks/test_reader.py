"""Reading a task file: what is read, what is refused and how it is said."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from task_files import DROP, TASK, fault_of, load, task

from earmark.tasks import KnownClips, TaskError, read_task

TASKS = Path(__file__).parents[2] / "tasks"


# ----------------------------------------------------------------------------- reading a file


def test_a_task_file_is_read_in_full(tmp_path: Path) -> None:
    more = {"weight": 3, "zenodo_record": 123, "crop_seconds": 5, "knn": False}
    spec = load(task(**more), tmp_path)
    assert (spec.name, spec.title, spec.domain) == ("my_task", "My task", "sound")
    assert (spec.weight, spec.zenodo_record) == (3.0, "123")
    assert (spec.crop_seconds, spec.knn) == (5.0, False)
    assert spec.splits == {"train": "train*.tar", "valid": "valid*.tar", "test": "test*.tar"}
    assert spec.shard_patterns == spec.splits and spec.folds == {}
    assert (spec.classes, spec.num_classes) == (("hiss", "hum"), 2)
    assert (spec.label.kind, spec.label.field, spec.label.index) == ("class", "label", False)
    assert spec.path == str(tmp_path / "my_task.yaml")


def test_name_may_differ_from_the_file(tmp_path: Path) -> None:
    assert load(task(name="other-name"), tmp_path, "My Task.yaml").name == "other-name"


def test_folds_in_place_of_splits(tmp_path: Path) -> None:
    spec = load(task(splits=DROP, folds={1: "one*.tar", 2: "two*.tar"}), tmp_path)
    assert spec.shard_patterns == {"1": "one*.tar", "2": "two*.tar"}


def test_class_list_file_keeps_order_and_text(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("hum\n’hiss (loud)\n\n10\n", encoding="utf-8")
    assert load(task(classes="names.txt"), tmp_path).classes == ("hum", "’hiss (loud)", "10")


def test_blanks_around_class_names_do_not_count(tmp_path: Path) -> None:
    """A label is looked up without them; some editors begin a file with a byte order mark."""
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfhum \r\n\thiss (loud)  \r\n \r\n")
    for classes in ("names.txt", ["hum ", " hiss (loud)"]):
        assert load(task(classes=classes), tmp_path).classes == ("hum", "hiss (loud)")
    assert "'hum' is listed more than once" in fault_of(task(classes=["hum", "hum "]), tmp_path)


def test_multilabel(tmp_path: Path) -> None:
    changes = {"label": {"kind": "multilabel", "field": "tags"}, "metric": "mAP", "knn": False}
    assert load(task(**changes), tmp_path).label.separator == ";"
    changes["label"] = {"kind": "multilabel", "field": "tags", "separator": ","}
    assert load(task(**changes), tmp_path).label.separator == ","


def test_class_indices(tmp_path: Path) -> None:
    spec = load(task(label__index=True, classes=3), tmp_path)
    assert (spec.label.index, spec.classes) == (True, ("0", "1", "2"))


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "text is a number": ({"title": 50}, "'title' in the task must be text, not 50"),
    "domain": ({"domain": "noise"}, "'domain' in the task must be one of speech, sound, music"),
    "metric": ({"metric": "mAP"}, "'metric' in the task must be one of accuracy, not 'mAP'"),
    "metric of multilabel": (
        {"label": {"kind": "multilabel", "field": "x"}, "knn": False},
        "'metric' in the task must be one of mAP, not 'accuracy'",
    ),
    "weight 0": ({"weight": 0}, "'weight' in the task must be a number above 0, not 0"),
    "weight below 0": ({"weight": -2.5}, "must be a number above 0, not -2.5"),
    "weight infinite": ({"weight": float("inf")}, "must be a number above 0, not inf"),
    "weight nan": ({"weight": float("nan")}, "must be a number above 0, not nan"),
    "weight true": ({"weight": True}, "must be a number above 0, not True"),
    "crop text": ({"crop_seconds": "5 s"}, "'crop_seconds' in the task must be a number above 0"),
    "knn text": ({"knn": "never"}, "'knn' in the task must be true or false, not 'never'"),
    "name": ({"name": "My task"}, "task name 'My task' may hold only a-z, 0-9, '_' and '-'"),
    "folder absolute": ({"folder": "/data/mine"}, "'folder' must be a folder inside the data"),
    "folder above": ({"folder": "x/../../mine"}, "'folder' must be a folder inside the data"),
    "label is text": ({"label": "class"}, "'label' must be a mapping of keys to values"),
    "label kind": ({"label__kind": "classes"}, "'kind' in 'label' must be one of class,"),
    "label field": ({"label__field": 3}, "'field' in 'label' must be text, not 3"),
    "label index": ({"label__index": 1}, "'index' in 'label' must be true or false, not 1"),
    "separator of class": ({"label__separator": ";"}, "belongs to kind multilabel only"),
    "separator empty": (
        {"label": {"kind": "multilabel", "field": "x", "separator": ""}},
        "'separator' in 'label' must not be empty",
    ),
    "separator number": (
        {"label": {"kind": "multilabel", "field": "x", "separator": 3}},
        "'separator' in 'label' must be text, not 3",
    ),
    "no class": ({"classes": []}, "'classes' must be a list of two names or more"),
    "one class": ({"classes": ["hum"]}, "'classes' must be a list of two names or more"),
    "one class by number": ({"classes": 1}, "'classes' must be a list of two names or more"),
    "classes true": ({"classes": True}, "'classes' must be a list of two names or more"),
    "classes a mapping": ({"classes": {"a": 0, "b": 1}}, "'classes' must be a list of two names"),
    "class is a truth value": ({"classes": ["yes", False]}, "class False is not text; put it in"),
    "class is a fraction": ({"classes": [1.5, "x"]}, "class 1.5 is not text; put it in quotes"),
    "class twice": ({"classes": ["hum", "hiss", "hum"]}, "class 'hum' is listed more than once"),
    "class twice as number": ({"classes": [1, "1"]}, "class '1' is listed more than once"),
    "class file missing": ({"classes": "no.txt"}, "cannot read the class list "),
    "epochs 0": ({"probe__epochs": 0}, "'epochs' in 'probe' must be a whole number above 0, not 0"),
    "epochs fraction": ({"probe__epochs": 1.5}, "must be a whole number above 0, not 1.5"),
    "batch size text": ({"probe__batch_size": "32"}, "'batch_size' in 'probe' must be a whole"),
    "batch size true": ({"probe__batch_size": True}, "must be a whole number above 0, not True"),
    "learning rate text": ({"probe__learning_rate": "1e-3"}, "a number above 0, not '1e-3'"),
    "learning rate 0": ({"probe__learning_rate": 0.0}, "must be a number above 0, not 0.0"),
    "source list": ({"source": ["file"]}, "'source' must be a mapping of keys to values"),
    "source key and field": ({"source__field": "x"}, "'source' takes 'key' or 'field', not both"),
    "source pattern": ({"source__key": "(?P<source>"}, "is not a regular expression (missing )"),
    "source group": ({"source__key": "([0-9]+)-"}, "needs a group named source: (?P<source>...)"),
    "splits list": ({"splits": ["train*.tar"]}, "'splits' must map names to shard patterns"),
    "splits empty": ({"splits": {}}, "'splits' must map names to shard patterns, not {}"),
    "pattern number": ({"splits__test": 3}, "the pattern of 'test' must be a file pattern ending"),
    "pattern folder": ({"splits__test": "a/b.tar"}, "the pattern of 'test' must be a file pattern"),
    "pattern gz": ({"splits__test": "test*.tar.gz"}, "must be a file pattern ending in .tar"),
    "no shards": ({"splits": DROP}, "give either 'splits' or 'folds'"),
    "splits and folds": ({"folds": {1: "a.tar", 2: "b.tar"}}, "give either 'splits' or 'folds'"),
    "no test split": ({"splits__test": DROP}, "'splits' needs train and test, may have valid"),
    "no train split": ({"splits__train": DROP}, "'splits' needs train and test, may have valid"),
    "other split": ({"splits__dev": "dev*.tar"}, "'splits' needs train and test, may have valid"),
    "valid is test": ({"splits__valid": "test*.tar"}, "two splits or folds read the same shards"),
    "one fold": ({"splits": DROP, "folds": {1: "a.tar"}}, "'folds' needs two folds or more"),
    "index with names": ({"label__index": True}, "with 'index: true' the classes are a number"),
    "knn of multilabel": (
        {"label": {"kind": "multilabel", "field": "x"}, "metric": "mAP"},
        "kNN is for single-label tasks; set 'knn: false'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(FAULTS))
def test_fault_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    changes, expected = FAULTS[case]
    assert expected in fault_of(task(**changes), tmp_path)


def test_the_task_behind_the_faults_is_good(tmp_path: Path) -> None:
    assert load(task(), tmp_path).name == "my_task"


@pytest.mark.parametrize(
    "key",
    [key for key in yaml.safe_load(TASK) if key != "splits"]
    + ["label__kind", "label__field", "probe__epochs", "probe__batch_size", "source__unit"],
)
@pytest.mark.parametrize("value", [DROP, None], ids=["absent", "empty"])
def test_required_key(key: str, value: Any, tmp_path: Path) -> None:
    *outer, last = key.split("__")
    where = repr(outer[0]) if outer else "the task"
    assert fault_of(task(**{key: value}), tmp_path).startswith(f"{where} lacks {last!r}")


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "just text", "3"])
def test_file_that_is_no_mapping(content: str, tmp_path: Path) -> None:
    assert fault_of(content, tmp_path).startswith("the task must be a mapping of keys to values")


@pytest.mark.parametrize("content", ["title: [unclosed", "a: b: c", "\ttitle: x", "x: @y", "\0"])
def test_file_that_is_no_yaml(content: str, tmp_path: Path) -> None:
    assert fault_of(content, tmp_path).startswith("not valid YAML (")


def test_file_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "my_task.yaml"
    path.write_bytes(b"title: caf\xe9\n")
    with pytest.raises(TaskError, match=r"my_task\.yaml: not valid YAML \('utf-8' codec"):
        read_task(path)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(TaskError) as caught:
        read_task(path)
    assert str(caught.value) == f"{path}: cannot read the task file (No such file or directory)"


def test_file_name_that_is_no_task_name(tmp_path: Path) -> None:
    assert "rename the file, or set 'name'" in fault_of(task(), tmp_path, "My Task.yaml")


def test_class_list_file_faults(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes(b"caf\xe9\nhum\n")
    assert "cannot read the class list" in fault_of(task(classes="names.txt"), tmp_path)
    names.write_text("hum\nhiss\nhum\n")
    assert "class 'hum' is listed more than once" in fault_of(task(classes="names.txt"), tmp_path)
    names.write_text("hum\n")
    assert "must be a list of two names or more" in fault_of(task(classes="names.txt"), tmp_path)


def test_unknown_key_with_nothing_near_lists_the_known_ones(tmp_path: Path) -> None:
    fault = fault_of(task(source__zzzzzz=1), tmp_path)
    assert fault == "unknown key 'zzzzzz' in 'source'; known keys: unit, key, field"


KNOWN = {
    "the task": [
        *yaml.safe_load(TASK), "name", "weight", "zenodo_record", "folds", "crop_seconds",
        "segment_seconds", "also_in",
    ],
    "'label'": ["kind", "field", "fields", "index", "separator"],
    "'probe'": ["epochs", "batch_size", "learning_rate", "positive_weight"],
    "'source'": ["unit", "key", "field"],
}  # fmt: skip
PLACES = st.sampled_from(sorted(KNOWN))


def with_key(where: str, key: Any) -> dict[str, Any]:
    raw = task()
    (raw if where == "the task" else raw[where.strip("'")])[key] = "x"
    return raw


@settings(deadline=None)
@given(data=st.data())
def test_a_misspelt_key_is_met_with_the_right_one(data: st.DataObject) -> None:
    """One letter lost or doubled, anywhere in the file."""
    where = data.draw(PLACES)
    key = data.draw(st.sampled_from(KNOWN[where]))
    at = data.draw(st.integers(0, len(key) - 1))
    wrong = key[:at] + data.draw(st.sampled_from(["", key[at] * 2])) + key[at + 1 :]
    assume(wrong not in KNOWN[where])  # `fields` without its last letter
    with tempfile.TemporaryDirectory() as folder:
        fault = fault_of(with_key(where, wrong), Path(folder))
    assert fault == f"unknown key {wrong!r} in {where}; did you mean {key!r}?"


@settings(deadline=None)
@given(where=PLACES, key=st.text() | st.integers() | st.booleans())
def test_any_unknown_key_is_rejected(where: str, key: Any) -> None:
    if key in [*KNOWN[where], "knn"]:
        return
    with tempfile.TemporaryDirectory() as folder:
        fault = fault_of(with_key(where, key), Path(folder))
    assert fault.startswith(f"unknown key {key!r} in {where}; ")
    assert re.search("; (did you mean '[a-z_]+'[?]|known keys: [a-z_, ]+)$", fault)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**12)
    | st.floats()
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3)
)


@settings(deadline=None)
@given(where=PLACES, data=st.data())
def test_any_value_is_read_or_refused_in_one_line(where: str, data: st.DataObject) -> None:
    """A wrong value never ends in a traceback of something else."""
    raw = task()
    key = data.draw(st.sampled_from(KNOWN[where]))
    (raw if where == "the task" else raw[where.strip("'")])[key] = data.draw(VALUES)
    with tempfile.TemporaryDirectory() as folder:
        try:
            load(raw, Path(folder))
        except TaskError as error:
            message = str(error)
            assert message.startswith(f"{folder}/my_task.yaml: ")
            assert len(message.splitlines()) == 1


# ------------------------------------------------------------- what YAML would let pass silently


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TASK + "title: Again\n", "key 'title' is given twice"),
        (TASK.replace("unit: recording", "unit: a, unit: b"), "key 'unit' is given twice"),
        ("title: 2020-13-45\n", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_content_that_yaml_would_take(content: str, said: str, tmp_path: Path) -> None:
    assert content != TASK
    (tmp_path / "my_task.yaml").write_text(content)
    with pytest.raises(TaskError) as caught:
        read_task(tmp_path / "my_task.yaml")
    line = str(caught.value)
    assert said in line and line.startswith(str(tmp_path / "my_task.yaml")) and "\n" not in line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": " "}, "'title' in the task must not be empty"),
        ({"folder": " "}, "'folder' in the task must not be empty"),
        ({"zenodo_record": [1]}, "must be a record's number"),
        ({"name": "all"}, "means a group of tasks"),
        ({"name": "speech"}, "means a group of tasks"),
        ({"also_in": "../elsewhere"}, "'also_in' must be a folder inside"),
        ({"crop_seconds": 10**400}, "must be a number above 0"),
        ({"splits": DROP, "folds": {None: "a*.tar", "b": "b*.tar"}}, "is no name"),
        ({"splits": DROP, "folds": {"a": "x*.tar", "b": "x*.tar"}}, "read the same shards"),
    ],
)
def test_values_that_would_do_harm_later(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert said in fault_of(task(**changes), tmp_path)


def test_the_readme_label_examples_can_be_read(tmp_path: Path) -> None:
    """The keys of each example, set into a whole task file."""
    blocks = re.findall(r"```yaml\n(.*?)```", (TASKS / "README.md").read_text("utf-8"), re.DOTALL)
    shutil.copytree(TASKS / "classes", tmp_path / "classes")
    kinds = []
    for block in blocks[1:]:
        raw = task()
        del raw["classes"]
        kinds.append(load(raw | yaml.safe_load(block), tmp_path).label.kind)
    assert kinds == ["events", "notes", "captions", "transcript"]


# ------------------------------------------------------------------------------------- known clips


def test_known_clips(tmp_path: Path) -> None:
    spec = load(task(known={"clips": 30, "from": "its README"}), tmp_path)
    assert spec.known == KnownClips(30, "its README")
    by_split = {"train": 20, "valid": 4, "test": 6}
    spec = load(task(known={"clips": by_split, "from": "its README"}), tmp_path)
    assert spec.known == KnownClips(30, "its README", by_split)
    assert load(task(), tmp_path).known is None


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (30, "'known' must be a mapping"),
        ({"clips": 30}, "'known' lacks 'from'"),
        ({"clips": 30, "from": ""}, "'from' in 'known' must not be empty"),
        ({"clips": 30, "from": "x", "form": "y"}, "unknown key 'form' in 'known'"),
        ({"clips": 0, "from": "x"}, "'clips' in 'known' must be a whole number above 0"),
        ({"clips": True, "from": "x"}, "'clips' in 'known' must be a whole number above 0"),
        ({"clips": {"train": "1", "valid": 1, "test": 1}, "from": "x"}, "must be a whole number"),
        ({"clips": {"train": 1, "test": 1}, "from": "x"}, "or name the splits or folds: "),
        ({"clips": {1: 1, 2: 1}, "from": "x"}, "or name the splits or folds: test, train, valid"),
    ],
)
def test_bad_known_clips(known: Any, said: str, tmp_path: Path) -> None:
    assert said in fault_of(task(known=known), tmp_path)
