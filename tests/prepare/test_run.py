"""`prepare` on miniature data sets in their publishers' layouts."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path

import pytest
import soundfile
from original_trees import TREES, Tree, sound, text

from earmark.benchmark.cli.main import main
from earmark.benchmark.prepare.packing import PackingError
from earmark.benchmark.prepare.recipes import RECIPES
from earmark.benchmark.prepare.run import Prepared, prepare
from earmark.benchmark.prepare.source_folder import LayoutError
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.labels import Labelled, read_labels
from earmark.tasks import TaskError, builtin_tasks

every_tree = pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.task)
TREE = {tree.task: tree for tree in TREES}


def packed(tree: Tree, tmp_path: Path) -> Prepared:
    tree.make(tmp_path / "original")
    return prepare(tree.task, tmp_path / "original", tmp_path / "data")


def content(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below: what is in it, and which file it is."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_ino
        )
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_every_recipe_has_a_tree() -> None:
    assert sorted(RECIPES) == sorted(tree.task for tree in TREES)
    assert set(RECIPES) <= set(builtin_tasks())


@every_tree
def test_the_shards_read_as_the_task_declares(tree: Tree, tmp_path: Path) -> None:
    done = packed(tree, tmp_path)
    assert (done.spec.name, done.packed.faults) == (tree.spec, [])
    found: dict[str, tuple[str, Labelled]] = {}
    for part in open_dataset(done.spec, tmp_path / "data").shards:
        labels, failures = read_labels(part.shard, done.spec)
        assert (failures, part.shard.failures) == ([], ())
        found |= {key: (part.split, label) for key, label in labels.items()}
    assert sorted(found) == sorted(tree.clips)
    for key, (split, value, source) in tree.clips.items():
        where, label = found[key]
        names = value.split(";") if done.spec.label.kind == "multilabel" else [str(value)]
        if done.spec.label.kind == "transcript":
            assert label.label == (value.lower(),)
        else:
            indices = tuple(sorted(done.spec.classes.index(name) for name in names))
            assert label.label == indices, key
        assert (where, label.source) == (split, source), key


@every_tree
def test_audio_is_copied_as_it_is(tree: Tree, tmp_path: Path) -> None:
    done = packed(tree, tmp_path)
    files = [path for path in (tmp_path / "original").rglob("*") if path.is_file()]
    originals = {path.read_bytes() for path in files}
    members = 0
    for path in done.packed.folder.glob("*.tar"):
        with tarfile.open(path) as shard:
            for member in shard:
                if not member.name.endswith(".json"):
                    file = shard.extractfile(member)
                    assert file is not None and file.read() in originals
                    members += 1
    assert members == len(tree.clips)


@every_tree
def test_a_second_run_changes_nothing(tree: Tree, tmp_path: Path) -> None:
    packed(tree, tmp_path)
    before = content(tmp_path / "data")
    again = prepare(tree.task, tmp_path / "original", tmp_path / "data")
    assert again.packed.written == []
    assert content(tmp_path / "data") == before


@every_tree
def test_elsewhere_the_bytes_are_the_same(tree: Tree, tmp_path: Path) -> None:
    one = packed(tree, tmp_path / "one")
    other = packed(tree, tmp_path / "other")
    shards = [
        {path.name: path.read_bytes() for path in done.packed.folder.glob("*.tar")}
        for done in (one, other)
    ]
    assert shards[0] == shards[1]


@every_tree
def test_another_folder_is_refused_in_one_line(tree: Tree, tmp_path: Path) -> None:
    tree.make(tmp_path / "original")
    for path in (tmp_path / "original").glob(tree.needed):
        path.rename(tmp_path / f"away-{path.parent.name}-{path.name}")
    text(tmp_path / "original/data set.zip", "")
    with pytest.raises(LayoutError) as caught:
        prepare(tree.task, tmp_path / "original", tmp_path / "data")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "expected" in message and RECIPES[tree.task].layout in message
    assert "unpack data set.zip first" in message
    assert not (tmp_path / "data").exists()


@every_tree
def test_the_folder_above_will_do(tree: Tree, tmp_path: Path) -> None:
    tree.make(tmp_path / "original/unpacked")
    (tmp_path / "original/elsewhere").mkdir()
    done = prepare(tree.task, tmp_path / "original", tmp_path / "data")
    assert sum(done.packed.clips.values()) == len(tree.clips)


listed = [tree for tree in TREES if tree.lost is not None]


@pytest.mark.parametrize("tree", listed, ids=lambda tree: tree.task)
def test_a_missing_file_is_named_and_counts_as_failed(tree: Tree, tmp_path: Path) -> None:
    tree.make(tmp_path / "original")
    (tmp_path / "original" / tree.missing).unlink()
    done = prepare(tree.task, tmp_path / "original", tmp_path / "data")
    (fault,) = done.packed.faults
    assert (fault.key, fault.file, fault.reason) == (
        tree.lost, tree.missing, "there is no such file",
    )  # fmt: skip
    dataset = open_dataset(done.spec, tmp_path / "data")
    failures = [failure for part in dataset.shards for failure in part.shard.failures]
    assert [(f.key, f.reason) for f in failures] == [(tree.lost, "no audio beside the JSON")]
    assert dataset.clips == len(tree.clips)


@every_tree
def test_undecodable_audio_is_packed_and_named(tree: Tree, tmp_path: Path) -> None:
    tree.make(tmp_path / "original")
    broken = tmp_path / "original" / tree.missing
    broken.write_bytes(broken.read_bytes()[:100])
    for _ in range(2):  # the second call finds the shards there, and says the same
        done = prepare(tree.task, tmp_path / "original", tmp_path / "data")
        (fault,) = done.packed.faults
        assert fault.file == tree.missing
        assert re.search("cut short|cannot be decoded|no samples", fault.reason)
    assert open_dataset(done.spec, tmp_path / "data").clips == len(tree.clips)


# ------------------------------------------------------------------------------------ own divisions

own = [tree for tree in TREES if tree.spec != tree.task]


@pytest.mark.parametrize("tree", own, ids=lambda tree: tree.task)
def test_an_own_division_is_a_task_of_its_own(tree: Tree, tmp_path: Path) -> None:
    done = packed(tree, tmp_path)
    published = builtin_tasks()[tree.task]
    assert done.task_file == tmp_path / "data" / f"{tree.spec}.yaml"
    assert done.own and done.spec.folder != published.folder
    assert "Earmark's" in done.spec.title and "Earmark's own" in done.spec.description
    assert done.spec.digest() != published.digest()
    assert not set(done.spec.shard_patterns.values()) & set(published.shard_patterns.values())
    assert done.spec.zenodo_record is None
    for same in ("classes", "label", "probe", "metric", "source", "knn", "known", "domain"):
        assert getattr(done.spec, same) == getattr(published, same)
    assert not (tmp_path / "data" / published.folder).exists()


def test_which_divisions_are_ours() -> None:
    # the others' are their publishers'; tests above hold each tree to them
    assert {tree.task for tree in own} == {"ravdess", "crema_d", "gtzan", "libricount"}


def test_ravdess_folds_hold_three_men_and_three_women_each() -> None:
    from earmark.benchmark.prepare.recipes.ravdess import fold_of

    folds: dict[str, list[int]] = {}
    for actor in range(1, 25):
        folds.setdefault(fold_of(actor), []).append(actor)
    assert sorted(folds) == ["0", "1", "2", "3"]
    for actors in folds.values():  # odd: male (zenodo.org/records/1188976)
        assert (len(actors), sum(actor % 2 for actor in actors)) == (6, 3)


def test_crema_d_actors_are_in_one_split_each() -> None:
    from collections import Counter

    from earmark.benchmark.prepare.recipes.crema_d import split_of

    # 15 % of 91 are 14
    assert Counter(split_of(str(actor)) for actor in range(1001, 1092)) == {
        "train": 63, "valid": 14, "test": 14,
    }  # fmt: skip


def test_a_task_file_edited_by_hand_is_kept(tmp_path: Path) -> None:
    done = packed(TREE["gtzan"], tmp_path)
    assert done.task_file is not None
    edited = done.task_file.read_text().replace("not stated by its authors", "none at all")
    done.task_file.write_text(edited)
    prepare("gtzan", tmp_path / "original", tmp_path / "data")
    assert done.task_file.read_text() == edited
    done.task_file.write_text(edited.replace("- rock", "- punk").replace("rock]", "punk]"))
    with pytest.raises(TaskError, match="is there already and declares another task"):
        prepare("gtzan", tmp_path / "original", tmp_path / "data")


# --------------------------------------------------------------------------------- single data sets


def test_labels_of_another_version_are_refused(tmp_path: Path) -> None:
    tree = TREE["speech_commands_v1"]
    tree.make(tmp_path / "original")
    sound(tmp_path / "original/backward/0a7c2a8d_nohash_0.wav", 1)  # a word of version 0.02
    with pytest.raises(LayoutError, match=r"'backward' is none of the 30 classes of speech_comm"):
        prepare(tree.task, tmp_path / "original", tmp_path / "data")


def test_a_speaker_of_no_list_is_refused(tmp_path: Path) -> None:
    TREE["vocalsound"].make(tmp_path / "original")
    sound(tmp_path / "original/audio_16k/f9999_0_cough.wav", 1)
    with pytest.raises(LayoutError, match=r"the speaker of audio_16k/f9999_0_cough.wav is in none"):
        prepare("vocalsound", tmp_path / "original", tmp_path / "data")


def test_a_split_without_clips_is_refused(tmp_path: Path) -> None:
    TREE["librispeech_mf"].make(tmp_path / "original")
    for path in (tmp_path / "original/dev-clean").rglob("*.txt"):
        path.unlink()
    with pytest.raises(LayoutError, match="no clip for split valid of librispeech_mf"):
        prepare("librispeech_mf", tmp_path / "original", tmp_path / "data")


@pytest.mark.parametrize("task", ["esc50", "urbansound8k", "fsd50k"])
def test_a_table_without_its_columns_is_refused(task: str, tmp_path: Path) -> None:
    tree = TREE[task]
    tree.make(tmp_path / "original")
    text(tmp_path / "original" / tree.needed, "a,b\n1,2\n")
    with pytest.raises(LayoutError, match=r"has no column .*; it has a, b"):
        prepare(task, tmp_path / "original", tmp_path / "data")


def test_what_is_no_clip_of_the_task_is_counted(tmp_path: Path) -> None:
    assert packed(TREE["ravdess"], tmp_path / "a").others == 1  # the song
    assert packed(TREE["speech_commands_v1"], tmp_path / "b").others == 1  # the noise
    assert packed(TREE["vocalsound"], tmp_path / "c").others == 3  # at 44.1 kHz
    assert packed(TREE["esc50"], tmp_path / "d").others == 0


def test_gtzan_as_wav_has_the_same_keys(tmp_path: Path) -> None:
    TREE["gtzan"].make(tmp_path / "original")
    for path in sorted((tmp_path / "original").rglob("*.au")):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".wav"), samples, rate)
        path.unlink()
    (tmp_path / "original/genres").rename(tmp_path / "original/genres_original")
    done = prepare("gtzan", tmp_path / "original", tmp_path / "data")
    assert sum(done.packed.clips.values()) == len(TREE["gtzan"].clips)
    assert done.packed.faults == []


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    TREE["esc50"].make(tmp_path / "original")
    secret = tmp_path / "secret.wav"
    link = tmp_path / "original/audio/2-100032-A-2.wav"
    link.rename(secret)
    link.symlink_to(secret)
    done = prepare("esc50", tmp_path / "original", tmp_path / "data")
    (fault,) = done.packed.faults
    assert "is a link that leads out of" in fault.reason
    assert (
        secret.read_bytes() not in (done.packed.folder / "wds-audio-fold-2-000000.tar").read_bytes()
    )


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    TREE["esc50"].make(tmp_path / "original")
    (tmp_path / "original/audio").rename(tmp_path / "original/clips")
    (tmp_path / "original/audio").symlink_to("clips")
    (tmp_path / "link").symlink_to(tmp_path / "original")
    assert prepare("esc50", tmp_path / "link", tmp_path / "data").packed.faults == []


def test_a_table_that_points_out_of_the_folder_gets_nothing(tmp_path: Path) -> None:
    TREE["esc50"].make(tmp_path / "original")
    sound(tmp_path / "secret.wav", 9)
    table = tmp_path / "original/meta/esc50.csv"
    table.write_text(table.read_text().replace("2-100032-A-2.wav", "../../secret.wav"))
    (fault,) = prepare("esc50", tmp_path / "original", tmp_path / "data").packed.faults
    assert fault.reason.startswith("'audio/../../secret.wav' is not a path inside")


def test_two_clips_of_one_key_are_refused(tmp_path: Path) -> None:
    TREE["esc50"].make(tmp_path / "original")
    table = tmp_path / "original/meta/esc50.csv"
    table.write_text(table.read_text() + "1-100031-A-1.wav,2,1,x,False,100031,A\n")
    with pytest.raises(PackingError, match="would both be the clip '1-100031-A-1'"):
        prepare("esc50", tmp_path / "original", tmp_path / "data")


# ------------------------------------------------------------------------------------- command line


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TREE["ravdess"].make(tmp_path / "original")
    words = ["prepare", "ravdess", "--from", str(tmp_path / "original"), "--data"]
    assert main([*words, str(tmp_path / "data")]) == 0
    out, err = capsys.readouterr()
    assert "ravdess_earmark: 8 clips; folds: Earmark's own four folds by actor" in out
    assert "4 shards written, 0 there already" in out
    assert "1 other audio files there are no clips of this task" in out
    assert "scores cannot be compared with published ones" in out
    assert f"--tasks {tmp_path / 'data' / 'ravdess_earmark.yaml'} --data" in err
    (tmp_path / "original/Actor_01/03-01-01-01-02-01-01.wav").write_bytes(b"")
    assert main([*words, str(tmp_path / "data")]) == 3
    out = capsys.readouterr().out
    assert "1 shards written, 3 there already" in out
    assert "fold 0: Actor_01/03-01-01-01-02-01-01.wav: empty file" in out
    record = json.loads((tmp_path / "data/ravdess_earmark/prepared.json").read_text())
    assert record["task"] == "ravdess_earmark" and record["clips"]["0"] == 2


@pytest.mark.parametrize(
    ("task", "words"),
    [("clotho", "no recipe for 'clotho'"), ("nothing", "unknown task 'nothing'")],
)
def test_a_task_without_a_recipe(
    task: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", task, "--from", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert words in err and "--manifest" in err and len(err.splitlines()) == 1


def test_no_such_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "esc50", "--from", str(tmp_path / "no")]) == 2
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err
