"""The tasks that come with Earmark, their sources, the example, and the choice by name."""

from __future__ import annotations

import dataclasses
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from task_files import load, task

from earmark.tasks import (
    LabelRule,
    ProbeSettings,
    SourceRule,
    TaskError,
    TaskSpec,
    builtin_tasks,
    read_task,
    select_tasks,
)

REPOSITORY = Path(__file__).parents[2]
TASKS = REPOSITORY / "tasks"
SHARED = REPOSITORY.parent / "shared"
FSDD = Path(__file__).parents[1] / "data" / "fsdd.yaml"

# Task -> keys named as the original data set names its files (with '_' for '.', as X-ARES's

# packers write it) -> the source; None where the name shows none.
SOURCES: dict[str, dict[str, str | None]] = {
    "asv2015": {"T1000001": None, "E1097650": None},
    "crema_d": {"1001_DFA_ANG_XX": "1001", "1091_WSI_SAD_HI": "1091", "1040_ITH_SAD_X": "1040"},
    "esc50": {"1-100032-A-0": "100032", "5-9032-A-0": "9032", "3-110913-D-7": "110913"},
    "fma_small": {"000002": "000002", "155320": "155320", "155_155320": "155320"},
    "fsc": {"0a3129c0-4474-11e9-a9a5-5dbec3b8816a": None},
    "fsd18_kaggle": {"00044347": None, "ffe4f9a1": None},
    "fsd50k": {"64760": "64760", "37199": "37199", "433542_wav": "433542"},
    "gtzan": {"blues_00000": None, "rock_00099": None},
    "libricount": {"10_1014": None, "0_37": None},
    "librispeech_mf": {"84-121123-0000": "84", "1272-128104-0014": "1272"},
    "nsynth": {
        "bass_synthetic_033-022-050": "bass_synthetic_033",
        "guitar_acoustic_010-104-127": "guitar_acoustic_010",
        "synth_lead_synthetic_003-057-100": "synth_lead_synthetic_003",
    },
    "ravdess": {"03-01-06-01-02-01-12": "12", "03-01-01-01-01-01-01": "01"},
    "speech_commands_v1": {
        "0a7c2a8d_nohash_0": "0a7c2a8d",
        "bed_00f0204f_nohash_12": "00f0204f",
        "bed_deadbeef_nohash_1": "deadbeef",
        "deadbeef_nohash_1": "deadbeef",  # a hash of letters only is no word before a hash
    },
    "urbansound8k": {"100032-3-0-0": "100032", "7061-6-10-12": "7061"},
    "vocal_imitation": {
        "028Animal_Wild animals_Roaring cats (lions_ tigers)_Roar-5192735183077376": None
    },
    "vocalsound": {"f0003_0_laughter": "f0003", "m2100_0_throatclearing": "m2100"},
    "voxceleb1": {
        "id10003-na8-QEFmj44-00003": "na8-QEFmj44",
        "id10270_5r0dWxy17C8_00001": "5r0dWxy17C8",
        "id11251_-5cR_LbGqK4_00012": "-5cR_LbGqK4",
        "_z1-QEFmj44_00003": "_z1-QEFmj44",
    },
    "voxlingua33": {
        "AAHY8R5eIko__U__S30---0591_880-0602_390": "AAHY8R5eIko",
        "-AkBlZDcJ_k__U__S12---0192_000-0205_700": "-AkBlZDcJ_k",
        "uk_AAHY8R5eIko__U__S30---0591_880-0602_390": "AAHY8R5eIko",
    },
}
NONSENSE = [
    "",
    "clip",
    "a-b-c",
    "00_x",
    "__",
    "id10003",
    "000",
    "éà",
    "speech_nohash_0",
    "id10003-tenletters-00003",
    "x" * 40,
]


# ------------------------------------------------------------------ the tasks that come along


def test_every_task_file_is_a_builtin_task() -> None:
    files = sorted(path.stem for path in TASKS.glob("*.yaml"))
    assert set(SOURCES) <= set(files)
    assert sorted(builtin_tasks()) == files


def test_every_class_list_is_used() -> None:
    used = re.findall(
        r"^classes: (classes/.+)$",
        "".join(path.read_text(encoding="utf-8") for path in TASKS.glob("*.yaml")),
        flags=re.MULTILINE,
    )
    assert sorted(used) == sorted(f"classes/{path.name}" for path in TASKS.glob("classes/*"))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_task_is_documented(name: str) -> None:
    """What a reader of a table needs: a licence, a citable reference with a year, a page."""
    spec = builtin_tasks()[name]
    assert spec.licence and spec.description and spec.abbreviation
    assert "\n" not in spec.description + spec.citation + spec.licence
    assert re.search(r"\b(19|20)\d\d\b", spec.citation)
    assert re.search(r"doi:10\.\d{4,}/\S+$|arXiv:\d{4}\.\d{4,5}$", spec.citation)
    assert re.match(r"https?://[^ ]+$", spec.url)


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    path = SHARED / "spec" / "tasks.json"
    if not path.exists():
        pytest.skip("the facts (shared/spec/tasks.json) are not beside the checkout")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_task_agrees_with_the_facts(name: str, facts: dict[str, Any]) -> None:
    spec, fact = builtin_tasks()[name], facts[name]
    assert (spec.title, spec.abbreviation) == (fact["title"], fact["abbreviation"])
    assert (spec.domain, spec.folder) == (fact["domain"], fact["xares_folder"])
    assert spec.zenodo_record == fact["zenodo_record"]
    assert spec.weight == fact["xares_weight"]
    assert spec.crop_seconds == fact["crop_seconds"]
    assert spec.metric == fact["metric"]
    assert spec.knn is fact["knn"]
    for setting in ("epochs", "batch_size", "learning_rate"):
        assert getattr(spec.probe, setting) == fact["probe"][setting]
    assert (spec.label.kind, spec.label.field) == (fact["label"]["kind"], fact["label"]["field"])
    assert spec.label.index is fact["label"].get("is_index", False)
    if spec.label.kind == "multilabel":
        assert spec.label.separator == fact["label"]["separator"]


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_classes_agree_with_the_facts(name: str, facts: dict[str, Any]) -> None:
    """Same names, same order, to the letter: the order is the class index."""
    spec, fact = builtin_tasks()[name], facts[name]
    assert spec.num_classes == fact["num_outputs"]
    if fact["classes"] is None:
        assert spec.label.index
    else:
        assert list(spec.classes) == fact["classes"]


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_shards_agree_with_the_facts(name: str, facts: dict[str, Any]) -> None:
    """A validation split that is the test split is left out: `strict` must not select on it."""
    spec, fact = builtin_tasks()[name], facts[name]
    if "folds" in fact["splits"]:
        assert not spec.splits
        assert list(spec.folds.items()) == list(fact["shards"].items())
        return
    expected = {split: fact["shards"][shard] for split, shard in fact["splits"].items()}
    if expected["valid"] == expected["test"]:
        del expected["valid"]
    assert spec.splits == expected
    assert ("valid" in spec.splits) == (name not in ("fsd18_kaggle", "voxlingua33"))


# ------------------------------------------------------------------------------------ sources


@pytest.mark.parametrize(
    ("name", "key", "source"),
    [(name, key, source) for name, keys in SOURCES.items() for key, source in keys.items()],
)
def test_source_of_a_real_key(name: str, key: str, source: str | None) -> None:
    assert builtin_tasks()[name].source.source_of(key, {"label": "x"}) == source


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_nonsense_key_has_no_source(name: str) -> None:
    rule = builtin_tasks()[name].source
    allowed = {"000"} if name == "fsd50k" else set()  # a Freesound id is any number
    assert {key for key in NONSENSE if rule.source_of(key, {}) is not None} == allowed


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_keys_of_other_tasks_have_no_source(name: str) -> None:
    """Rules are strict enough to notice shards of another data set."""
    rule = builtin_tasks()[name].source
    alike = {"fsd50k": {"fma_small"}, "fma_small": {"fsd50k"}}  # both are plain numbers
    for other, keys in SOURCES.items():
        if other != name and other not in alike.get(name, set()):
            assert {key: rule.source_of(key, {}) for key in keys} == dict.fromkeys(keys), other


def test_a_unit_other_than_file_has_a_rule() -> None:
    for spec in builtin_tasks().values():
        ruled = spec.source.key is not None or spec.source.field is not None
        assert ruled == (spec.source.unit != "file"), spec.name


def test_fluent_speech_commands_reads_the_speaker_from_metadata() -> None:
    rule = builtin_tasks()["fsc"].source
    assert rule.source_of("any", {"speakerId": "2BqVo8kVB2Skwgyb"}) == "2BqVo8kVB2Skwgyb"


def test_source_from_a_field(tmp_path: Path) -> None:
    rule = load(task(source={"unit": "speaker", "field": "who"}), tmp_path).source
    assert rule.source_of("7-x", {"who": "george"}) == "george"
    assert rule.source_of("7-x", {"who": 7}) == "7"
    for metadata in ({}, {"who": ""}, {"who": None}, {"who": ["george"]}, ["who"], "who", None):
        assert rule.source_of("7-x", metadata) is None


def test_source_key_is_matched_from_the_start(tmp_path: Path) -> None:
    rule = load(task(), tmp_path).source
    assert rule.source_of("12-a", {}) == "12"
    assert rule.source_of("a-12-a", {}) is None


def test_an_empty_source_is_none(tmp_path: Path) -> None:
    rule = load(task(source__key="(?P<source>[0-9]*)-?"), tmp_path).source
    assert rule.source_of("-a", {}) is None


# -------------------------------------------------------------------------- the README, real data


def test_the_readme_example_is_the_tested_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (TASKS / "README.md").read_text("utf-8"), re.DOTALL)
    assert blocks[0] == FSDD.read_text(encoding="utf-8")


def test_the_readme_explains_every_key() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \|", (TASKS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    expected = []
    parts = {"label": LabelRule, "probe": ProbeSettings, "source": SourceRule}
    for field in dataclasses.fields(TaskSpec):
        if field.name in parts:
            inner = dataclasses.fields(parts[field.name])
            # a protocol's choice, which no task file states
            named = [sub.name for sub in inner if sub.name != "keep_case"]
            expected += [f"{field.name}.{name}" for name in named]
        elif field.name not in ("path", "declared"):
            expected.append(field.name)
    assert sorted(rows) == sorted(expected)


def test_the_readme_example_loads() -> None:
    spec = read_task(FSDD)
    assert (spec.name, spec.folder, spec.num_classes) == ("fsdd", "fsdd", 10)
    assert list(spec.folds) == ["0", "1", "2", "3", "4"]
    assert (spec.weight, spec.knn, spec.crop_seconds, spec.zenodo_record) == (1.0, True, None, None)
    assert (spec.probe.epochs, spec.probe.batch_size) == (10, 32)


def clips_of(folder: Path, pattern: str) -> Iterator[tuple[str, Any]]:
    """(key, metadata) of every clip in the shards that match."""
    for path in sorted(folder.glob(pattern)):
        with tarfile.open(path) as shard:
            for member in shard:
                if member.name.endswith(".json"):
                    handle = shard.extractfile(member)
                    assert handle is not None
                    yield member.name.removesuffix(".json"), json.load(handle)


@pytest.mark.parametrize(
    ("name", "folder", "clips", "sources"),
    [
        ("esc50", "esc50", 400, None),
        ("librispeech_mf", "librispeech", 280, 3),
        (FSDD, "fsdd", 3000, 6),
    ],
    ids=["esc50", "librispeech_mf", "fsdd"],
)
def test_real_shards(name: str | Path, folder: str, clips: int, sources: int | None) -> None:
    """Patterns find every clip once; each label is a class; each clip has a source."""
    if not (SHARED / "data" / folder).exists():
        pytest.skip(f"the real audio for development (shared/data/{folder}) is not there")
    spec = read_task(name) if isinstance(name, Path) else builtin_tasks()[name]
    found = [
        (key, metadata)
        for pattern in spec.shard_patterns.values()
        for key, metadata in clips_of(SHARED / "data" / folder, pattern)
    ]
    assert len(found) == clips
    assert len({key for key, _ in found}) == clips
    assert {str(metadata[spec.label.field]) for _, metadata in found} <= set(spec.classes)
    known = {spec.source.source_of(key, metadata) for key, metadata in found}
    assert None not in known
    if sources is not None:
        assert len(known) == sources


def test_librispeech_speakers_are_those_of_the_metadata() -> None:
    if not (SHARED / "data" / "librispeech").exists():
        pytest.skip("the real audio for development (shared/data/librispeech) is not there")
    rule = builtin_tasks()["librispeech_mf"].source
    for key, metadata in clips_of(SHARED / "data" / "librispeech", "*.tar"):
        assert rule.source_of(key, {}) == str(metadata["speaker"])


# ------------------------------------------------------------------------------ choosing tasks


def names_of(*asked: str) -> list[str]:
    return [spec.name for spec in select_tasks(asked)]


def test_select_by_name_keeps_the_order_asked_for() -> None:
    assert names_of("nsynth", "esc50", "asv2015") == ["nsynth", "esc50", "asv2015"]


def test_select_nothing() -> None:
    assert names_of() == []


def test_select_all() -> None:
    assert names_of("all") == list(builtin_tasks())
    assert set(SOURCES) <= set(names_of("all"))


def test_all_is_ordered_by_domain_then_title() -> None:
    chosen = [(spec.domain, spec.title.lower()) for spec in select_tasks(["all"])]
    domains = [domain for domain, _ in chosen]
    assert list(dict.fromkeys(domains)) == ["speech", "sound", "music"]
    for domain in set(domains):
        titles = [title for of, title in chosen if of == domain]
        assert titles == sorted(titles)


def test_select_by_domain() -> None:
    music = names_of("music")
    assert {"fma_small", "gtzan", "nsynth"} <= set(music)
    assert not {"esc50", "ravdess"} & set(music)
    every = names_of("speech", "sound", "music")
    assert every == names_of("all")


def test_a_task_asked_for_twice_comes_once() -> None:
    assert names_of("gtzan", "esc50", "gtzan") == ["gtzan", "esc50"]
    assert names_of("gtzan", "music")[0] == "gtzan"
    assert sorted(names_of("gtzan", "music")) == sorted(names_of("music"))


def test_select_by_path(tmp_path: Path) -> None:
    load(task(), tmp_path, "mine.yaml")
    load(task(), tmp_path, "yours.yml")
    paths = [str(tmp_path / "mine.yaml"), str(tmp_path / "yours.yml")]
    assert names_of(paths[0], "esc50", paths[1], paths[0]) == ["mine", "esc50", "yours"]


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their results would overwrite each other."""
    load(task(), tmp_path, "esc50.yaml")
    path = str(tmp_path / "esc50.yaml")
    assert names_of(path) == ["esc50"]
    with pytest.raises(TaskError) as caught:
        select_tasks(["esc50", path])
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: a task named 'esc50' is asked for twice")
    assert str(TASKS / "esc50.yaml") in message and message.endswith("; rename one")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("esc5", "esc50"),
        ("ravdes", "ravdess"),
        ("speach", "speech"),
        ("Music", "music"),
        ("al", "all"),
    ],
)
def test_did_you_mean(wrong: str, right: str) -> None:
    with pytest.raises(TaskError) as caught:
        select_tasks(["gtzan", wrong])
    assert str(caught.value) == f"unknown task {wrong!r}; did you mean {right!r}?"


def test_unknown_task_with_nothing_near() -> None:
    with pytest.raises(TaskError) as caught:
        select_tasks(["qqqqqq"])
    assert str(caught.value) == "unknown task 'qqqqqq'; see `run_bench.py list tasks`"


def test_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"none\.yaml: cannot read the task file"):
        select_tasks([str(tmp_path / "none.yaml")])
