"""Data sets in miniature, laid out as their publishers do; and what must come of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from clips import audio_bytes


def sound(path: Path, number: int, rate: int = 8_000, suffix: str | None = None) -> None:
    """A tenth of a second of noise, different for every number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(number).standard_normal(rate // 10)
    path.write_bytes(audio_bytes(samples, rate, suffix or path.suffix[1:]))


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


@dataclass(frozen=True)
class Tree:
    """A data set in miniature.

    task: the recipe. spec: name of the task that reads the shards. make: writes the tree.
    clips: key to (split or fold, label as its JSON says, source by the task's rule, None where the
    clip is its own). needed: a path without which it is not this data set. missing: the file of
    `lost`, one of the clips.
    """

    task: str
    spec: str
    make: Callable[[Path], None]
    clips: dict[str, tuple[str, Any, str | None]]
    needed: str
    missing: str
    lost: str | None


def esc50(root: Path) -> None:
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        name = f"{fold}-{100_030 + fold}-A-{fold}.wav"
        rows.append(f"{name},{fold},{fold},x,False,{100_030 + fold},A")
        sound(root / "audio" / name, fold)
    text(root / "meta/esc50.csv", "\n".join(rows) + "\n")


def urbansound8k(root: Path) -> None:
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in range(1, 11):
        name = f"{100_000 + fold}-3-0-{fold}.wav"
        rows.append(f"{name},{100_000 + fold},0.0,0.317551,1,{fold},3,dog_bark")
        sound(root / f"audio/fold{fold}" / name, fold)
    text(root / "metadata/UrbanSound8K.csv", "\n".join(rows) + "\n")


def ravdess(root: Path) -> None:
    for actor in range(1, 9):
        sound(root / f"Actor_{actor:02d}/03-01-0{actor}-01-02-01-{actor:02d}.wav", actor)
    sound(root / "Actor_01/03-02-02-01-02-01-01.wav", 99)  # a song
    sound(root / "Actor_01/._03-01-02-01-02-01-01.wav", 99)  # left by some systems


def crema_d(root: Path) -> None:
    for number, name in enumerate(("1001_DFA_ANG_XX", "1039_IEO_NEU_LO", "1007_TIE_SAD_HI")):
        sound(root / f"AudioWAV/{name}.wav", number)


def gtzan(root: Path) -> None:
    for fold in range(10):
        sound(root / f"genres/blues/blues.{10 * fold + 3:05d}.au", fold)
    sound(root / "genres/jazz/jazz.00099.au", 11)


def speech_commands(root: Path) -> None:
    for number, word in enumerate(("bed", "zero")):
        for speaker in ("0a7c2a8d", "0a9f9af7", "00f0204f"):
            sound(root / word / f"{speaker}_nohash_0.wav", number)
    sound(root / "_background_noise_/pink_noise.wav", 3)
    text(root / "validation_list.txt", "bed/0a9f9af7_nohash_0.wav\n")
    text(root / "testing_list.txt", "bed/00f0204f_nohash_0.wav\nzero/00f0204f_nohash_0.wav\n")


def fsd50k(root: Path) -> None:
    text(
        root / "FSD50K.ground_truth/dev.csv",
        "fname,labels,mids,split\n"
        '64760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train\n'
        "16399,Bark,/m/05tny_,val\n",
    )
    text(root / "FSD50K.ground_truth/eval.csv", 'fname,labels,mids\n37199,"Bark,Dog","/m/0,/m/1"\n')
    for number, name in enumerate(("dev_audio/64760", "dev_audio/16399", "eval_audio/37199")):
        sound(root / f"FSD50K.{name}.wav", number)


def librispeech(root: Path) -> None:
    text(
        root / "SPEAKERS.TXT",
        ";ID  |SEX| SUBSET           |MINUTES| NAME\n"
        "19   | F | train-clean-100  | 25.19 | Kara Shallenberg\n"
        "84   | F | dev-clean        | 8.02  | Christie Nowak\n"
        "61   | M | test-clean       | 8.08  | Paul-Gabriel Wiener | of somewhere\n",
    )
    for number, (part, reader) in enumerate(
        (("train-clean-100", 19), ("dev-clean", 84), ("test-clean", 61))
    ):
        folder = root / part / str(reader) / "198"
        text(folder / f"{reader}-198.trans.txt", f"{reader}-198-0000 SAID BY {part[0].upper()}\n")
        sound(folder / f"{reader}-198-0000.flac", number)


def libricount(root: Path) -> None:
    for number in range(10):
        sound(root / f"test/{3 if number < 5 else 10}_{number}EQHX.wav", number)
        text(root / f"test/{3 if number < 5 else 10}_{number}EQHX.json", "[]")


def nsynth(root: Path) -> None:
    for number, (part, name) in enumerate(
        (("train", "bass_synthetic_033-022-050"), ("valid", "organ_electronic_001-060-127"),
         ("test", "synth_lead_synthetic_001-060-025"))
    ):  # fmt: skip
        family = name.rsplit("_", 2)[0]
        notes = {name: {"instrument_family_str": family, "pitch": 22, "qualities": [0, 1]}}
        text(root / f"nsynth-{part}/examples.json", json.dumps(notes))
        sound(root / f"nsynth-{part}/audio/{name}.wav", number)


def vocalsound(root: Path) -> None:
    for number, (part, speaker) in enumerate((("tr", "f0003"), ("val", "m0004"), ("te", "f0005"))):
        text(root / f"meta/{part}_meta.csv", f"{speaker},female,33,USA,English,no\n")
        sound(root / f"audio_16k/{speaker}_0_throatclearing.wav", number)
        sound(root / f"audio_44k/{speaker}_0_throatclearing.wav", number)
    sound(root / "audio_16k/._f0003_0_throatclearing.wav", 9)  # left by some systems


def voxceleb1(root: Path) -> None:
    lines = []
    for number, name in enumerate(
        ("id10003/na8-xEKmAK8/00001", "id10003/tCq2LcKO6xY/00002", "id10270/5r0dWxy17C8/00003")
    ):
        lines.append(f"{number + 1} {name}.wav")
        place = "test" if "id10270" in name else "dev"
        sound(root / place / "wav" / f"{name}.wav", number)
    text(root / "iden_split.txt", "\n".join(lines) + "\n")


_LIBRISPEECH = {
    "19-198-0000": ("train", "SAID BY T", "19"),
    "84-198-0000": ("valid", "SAID BY D", "84"),
    "61-198-0000": ("test", "SAID BY T", "61"),
}
_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_FLAC = "test-clean/61/198/61-198-0000.flac"

TREES = [
    Tree(
        "esc50", "esc50", esc50,
        {f"{n}-{100_030 + n}-A-{n}": (str(n), n, str(100_030 + n)) for n in range(1, 6)},
        "meta/esc50.csv", "audio/2-100032-A-2.wav", "2-100032-A-2",
    ),
    Tree(
        "urbansound8k", "urbansound8k", urbansound8k,
        {f"{100_000 + n}-3-0-{n}": (str(n), "dog_bark", str(100_000 + n)) for n in range(1, 11)},
        "metadata/UrbanSound8K.csv", "audio/fold4/100004-3-0-4.wav", "100004-3-0-4",
    ),
    Tree(
        "ravdess", "ravdess_earmark", ravdess,
        {
            f"03-01-0{n}-01-02-01-{n:02d}":
            (str((0, 0, 1, 1, 2, 2, 3, 3)[n - 1]), _EMOTIONS[n - 1], f"{n:02d}")
            for n in range(1, 9)
        },
        "Actor_*", "Actor_01/03-01-01-01-02-01-01.wav", None,
    ),
    Tree(
        "crema_d", "crema_d_earmark", crema_d,
        {
            "1001_DFA_ANG_XX": ("train", "A", "1001"),
            "1039_IEO_NEU_LO": ("test", "N", "1039"),
            "1007_TIE_SAD_HI": ("valid", "S", "1007"),
        },
        "AudioWAV", "AudioWAV/1001_DFA_ANG_XX.wav", None,
    ),
    Tree(
        "gtzan", "gtzan_earmark", gtzan,
        {f"blues.{10 * n + 3:05d}": (str(n), "blues", None) for n in range(10)}
        | {"jazz.00099": ("9", "jazz", None)},
        "genres", "genres/jazz/jazz.00099.au", None,
    ),
    Tree(
        "speech_commands_v1", "speech_commands_v1", speech_commands,
        {
            "bed_0a7c2a8d_nohash_0": ("train", "bed", "0a7c2a8d"),
            "bed_0a9f9af7_nohash_0": ("valid", "bed", "0a9f9af7"),
            "bed_00f0204f_nohash_0": ("test", "bed", "00f0204f"),
            "zero_0a7c2a8d_nohash_0": ("train", "zero", "0a7c2a8d"),
            "zero_0a9f9af7_nohash_0": ("train", "zero", "0a9f9af7"),
            "zero_00f0204f_nohash_0": ("test", "zero", "00f0204f"),
        },
        "testing_list.txt", "zero/00f0204f_nohash_0.wav", "zero_00f0204f_nohash_0",
    ),
    Tree(
        "fsd50k", "fsd50k", fsd50k,
        {
            "64760": ("train", "Electric_guitar;Guitar;Music", "64760"),
            "16399": ("valid", "Bark", "16399"),
            "37199": ("test", "Bark;Dog", "37199"),
        },
        "FSD50K.ground_truth/dev.csv", "FSD50K.eval_audio/37199.wav", "37199",
    ),
    Tree("librispeech_100h", "librispeech_100h", librispeech, _LIBRISPEECH,
         "SPEAKERS.TXT", _FLAC, "61-198-0000"),
    Tree(
        "librispeech_mf", "librispeech_mf", librispeech,
        {
            key: (split, "M" if source == "61" else "F", source)
            for key, (split, _, source) in _LIBRISPEECH.items()
        },
        "SPEAKERS.TXT", _FLAC, "61-198-0000",
    ),
    Tree(
        "libricount", "libricount_earmark", libricount,
        # in the order of SHA-256 of the names, by `sha256sum`
        {
            **{f"3_{n}EQHX": (str(fold), 3, None)
               for fold, n in enumerate((4, 1, 3, 0, 2))},
            **{f"10_{n}EQHX": (str(fold), 10, None)
               for fold, n in enumerate((5, 6, 7, 8, 9))},
        },
        "test", "test/3_0EQHX.wav", None,
    ),
    Tree(
        "nsynth", "nsynth", nsynth,
        {
            "bass_synthetic_033-022-050": ("train", "bass", "bass_synthetic_033"),
            "organ_electronic_001-060-127": ("valid", "organ", "organ_electronic_001"),
            "synth_lead_synthetic_001-060-025": ("test", "synth_lead", "synth_lead_synthetic_001"),
        },
        "nsynth-*/examples.json", "nsynth-train/audio/bass_synthetic_033-022-050.wav",
        "bass_synthetic_033-022-050",
    ),
    Tree(
        "vocalsound", "vocalsound", vocalsound,
        {
            "f0003_0_throatclearing": ("train", "throatclearing", "f0003"),
            "m0004_0_throatclearing": ("valid", "throatclearing", "m0004"),
            "f0005_0_throatclearing": ("test", "throatclearing", "f0005"),
        },
        "meta/tr_meta.csv", "audio_16k/f0003_0_throatclearing.wav", None,
    ),
    Tree(
        "voxceleb1", "voxceleb1", voxceleb1,
        {
            "id10003-na8-xEKmAK8-00001": ("train", "id10003", "na8-xEKmAK8"),
            "id10003-tCq2LcKO6xY-00002": ("valid", "id10003", "tCq2LcKO6xY"),
            "id10270-5r0dWxy17C8-00003": ("test", "id10270", "5r0dWxy17C8"),
        },
        "iden_split.txt", "dev/wav/id10003/tCq2LcKO6xY/00002.wav", "id10003-tCq2LcKO6xY-00002",
    ),
]  # fmt: skip
