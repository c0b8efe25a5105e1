"""Twins whose labels say when or in words: valid, and true of what is heard."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earmark.benchmark.shards.labels import read_labels
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.synthetic import synthesise, twins
from earmark.benchmark.synthetic.captions import MANNERS, PLACES, THINGS
from earmark.benchmark.synthetic.recipe import Draw, Plan, SyntheticClip
from earmark.benchmark.synthetic.spelling import BANDS, LETTERS, WORDS, Speller, spell
from earmark.tasks import TaskSpec, builtin_tasks

TIMED = ("desed", "maestro")
WORDED = ("clotho", "librispeech_100h")
SR = 16_000
Samples = NDArray[np.float64]


def plan_of(name: str) -> Plan:
    return twins.RECIPES[name](builtin_tasks()[name], Draw(name))


def heard(name: str, clip: SyntheticClip) -> Samples:
    return np.asarray(clip.render(Draw(name)("clip", clip.key)), dtype=np.float64)


def every(name: str) -> list[SyntheticClip]:
    return [clip for clips in plan_of(name).values() for clip in clips]


def spans(clip: SyntheticClip) -> list[tuple[float, float, str]]:
    """(from, to, label) of each event or note."""
    return [
        (one["onset"], one["offset"], one["label"])
        if "onset" in one
        else (one["start"], one["end"], str(one["note"]))
        for one in clip.metadata
    ]


def decibels(power: float | Samples) -> Samples:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TIMED + WORDED)
def test_the_reader_finds_no_fault(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = plan_of(name)

    def short(spec: TaskSpec, draw: Draw) -> Plan:
        return {part: clips[:3] for part, clips in whole.items()}

    monkeypatch.setattr(twins, "RECIPES", {name: short})
    spec = builtin_tasks()[name]
    folder = synthesise(spec, tmp_path)
    shards = sorted(folder.glob("*.tar"))
    assert len(shards) == len(spec.splits)
    for path in shards:
        labels, failures = read_labels(read_shard(path), spec)
        assert (len(labels), failures) == (3, [])
        assert all(one.label and not one.faults for one in labels.values())


@pytest.mark.parametrize("name", TIMED + WORDED)
def test_the_same_clip_again(name: str) -> None:
    """Labels and audio do not depend on what was made before."""
    first, second = plan_of(name)["train"], plan_of(name)["train"]
    assert [(c.key, c.metadata) for c in first] == [(c.key, c.metadata) for c in second]
    heard(name, second[1])
    np.testing.assert_array_equal(heard(name, first[-1]), heard(name, second[-1]))


@pytest.mark.parametrize("name", TIMED)
def test_spans_lie_within_their_clip(name: str) -> None:
    longest = {"desed": (4.5, 10.0), "maestro": (9.9, 20.0)}[name]
    for number, clip in enumerate(every(name)):
        assert spans(clip) == sorted(spans(clip))
        assert all(0 <= start < end < longest[1] for start, end, _ in spans(clip))
        if number % 20 == 0:
            seconds = len(heard(name, clip)) / SR
            assert longest[0] <= seconds <= longest[1]
            assert max(end for _, end, _ in spans(clip)) <= seconds


def test_events_overlap_and_are_joined_but_never_the_same_class_twice() -> None:
    clips = every("desed")
    most, joined = 0, 0
    for clip in clips:
        names = [name for *_, label in spans(clip) for name in label.split(",")]
        assert len(set(names)) == len(names)
        joined += any("," in label for *_, label in spans(clip))
        starts = [start for start, *_ in spans(clip)]
        most = max(most, max(sum(a <= at < b for a, b, _ in spans(clip)) for at in starts))
    assert most >= 3
    assert 20 < joined < len(clips) / 2


def test_up_to_four_notes_at_a_time() -> None:
    most = set()
    for clip in every("maestro"):
        found = spans(clip)
        assert all(21 <= int(pitch) <= 107 for *_, pitch in found)
        at_once = [[p for a, b, p in found if a <= at < b] for at, *_ in found]
        assert all(len(set(pitches)) == len(pitches) for pitches in at_once)
        most.add(max(len(pitches) for pitches in at_once))
    assert max(most) == 4


# --- what is heard --------------------------------------------------------------------------------


def levels(samples: Samples) -> Samples:
    """(windows of 32 ms, bands): level in dB of about 20 bands from 100 Hz to 8 kHz."""
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique((np.geomspace(100, 8000, 25) / SR * 512).astype(int))
    return np.stack([decibels(power[:, a:b].mean(axis=1)) for a, b in pairwise(edges)], axis=1)


def test_a_lone_event_is_heard_from_its_onset_to_its_offset() -> None:
    lone = [clip for clip in every("desed") if len(clip.metadata) == 1][:40]
    late, early = [], []
    for clip in lone:
        samples, (onset, offset, _) = heard("desed", clip), spans(clip)[0]
        rows = levels(samples)
        time = (np.arange(len(rows)) + 0.5) * 512 / SR
        outside = (time < onset - 0.05) | (time > offset + 0.05)
        # over the room's noise, in the band where the sound stands out most
        over = (rows - np.median(rows[outside], axis=0)).max(axis=1)
        loud = time[over > over[outside].max() + 1]
        inside = over[(time > onset) & (time < offset)]
        assert np.percentile(inside, 75) > np.median(over[outside]) + 6, clip.key
        assert onset - 0.05 <= loud.min() and loud.max() <= offset + 0.05
        late.append(loud.min() - onset)
        early.append(offset - loud.max())
    assert np.median(late) < 0.05 and max(late) < 0.5
    assert np.median(early) < 0.1 and max(early) < 0.5


def power_at(samples: Samples, hertz: float) -> float:
    """Mean power of one frequency under a Hann window."""
    window = np.hanning(len(samples))
    wave = np.exp(-2j * np.pi * hertz / SR * np.arange(len(samples)))
    return float(np.abs((samples * window * wave).sum() / window.sum()) ** 2)


def test_a_note_is_heard_while_it_lasts() -> None:
    """Its first two harmonics are louder than at times when no other note shares them."""
    gains = []
    for clip in plan_of("maestro")["test"][:3]:
        samples, found = heard("maestro", clip), spans(clip)
        for start, end, pitch in found[5:60:3]:
            if end - start < 0.15:
                continue
            base = 440 * 2 ** ((int(pitch) - 69) / 12)
            size = int((end - start) * SR)

            def level(first: int, size: int = size, base: float = base) -> float:
                part = samples[first : first + size]  # noqa: B023
                return power_at(part, base) + power_at(part, 2 * base)

            near = {int(pitch) + step for step in (-24, -19, -12, 0, 12, 19, 24, -1, 1)}
            free = [
                first
                for first in range(0, len(samples) - size, SR // 5)
                if not any(
                    a < (first + size) / SR and b > first / SR and int(p) in near
                    for a, b, p in found
                )
            ]
            if free:
                elsewhere = float(np.median([level(first) for first in free]))
                gains.append(float(decibels(level(int(start * SR)) / elsewhere)))
    assert len(gains) > 25
    assert np.median(gains) > 15
    assert np.percentile(gains, 5) > 3


def test_the_place_a_caption_names_is_heard() -> None:
    """Spectra of one place are alike: the nearest mean of the other clips is mostly its own."""
    clips = plan_of("clotho")["train"][:120]
    spectra = np.stack([levels(heard("clotho", clip)).mean(axis=0) for clip in clips])
    spectra -= spectra.mean(axis=1, keepdims=True)
    spectra /= spectra.std(axis=0)
    where = np.array([clip.key.split("_")[1] for clip in clips])
    right = 0
    for i in range(len(clips)):
        rest = np.arange(len(clips)) != i
        means = {p: spectra[rest & (where == p)].mean(axis=0) for p in PLACES}
        right += min(means, key=lambda p: np.linalg.norm(spectra[i] - means[p])) == where[i]
    assert right / len(clips) > 0.5  # chance: 0.11


def test_letters_sound_in_their_two_bands() -> None:
    assert len(set(LETTERS.values())) == 28
    speller = Speller(pitch=130, tract=1.0, tilt=0.0, seconds=0.14)
    for letter, pair in LETTERS.items():
        sound = spell(letter, speller, np.random.default_rng(1), SR)[: int(0.1 * SR)]
        power = np.abs(np.fft.rfft(sound)) ** 2
        at = np.fft.rfftfreq(len(sound), 1 / SR)
        around = [power[(at > c * 0.87) & (at < c * 1.15)].sum() for c in BANDS]
        assert set(np.argsort(around)[-2:]) == set(pair), letter


def test_an_utterance_has_a_sound_for_each_letter() -> None:
    speller = Speller(pitch=130, tract=1.0, tilt=0.0, seconds=0.14)
    for text in ("rr", "good moon", "it's off"):
        loud = np.abs(spell(text, speller, np.random.default_rng(2), SR)) > 0
        silent = ~np.convolve(loud, np.ones(SR // 100), "same").astype(bool)
        assert np.sum(np.diff(silent.astype(int)) == 1) == len(text)


# --- words ----------------------------------------------------------------------------------------


def test_captions_name_what_is_heard() -> None:
    clips = every("clotho")
    for clip in clips:
        what, where, how = clip.key.split("_")
        texts = list(clip.metadata.values())
        assert list(clip.metadata) == [f"caption_{i}" for i in range(1, 6)]
        assert len(set(texts)) == 5
        for text in texts:
            assert re.fullmatch(r"[A-Z][a-z, ]+\.", text)
            low = text.lower()
            assert any(s in low and (v in low or d in low) for s, v, d in THINGS[what].words)
            assert any(w in low for w in PLACES[where].clauses + PLACES[where].nouns)
            assert any(w in low for w in MANNERS[how].words)


def test_no_two_scenes_share_a_caption() -> None:
    owner: dict[str, str] = {}
    for clip in every("clotho"):
        for text in clip.metadata.values():
            assert owner.setdefault(text, clip.key) == clip.key


def test_words_of_the_captions_are_known_from_training() -> None:
    known = {w for c in plan_of("clotho")["train"] for t in c.metadata.values() for w in t.split()}
    for clip in plan_of("clotho")["test"]:
        assert set(" ".join(clip.metadata.values()).split()) <= known


def test_transcripts() -> None:
    plan = plan_of("librispeech_100h")
    used: set[str] = set()
    for clip in every("librispeech_100h"):
        text, speaker = clip.metadata["trans"], clip.metadata["speaker"]
        assert text == text.upper() and re.fullmatch("[A-Z' ]+", text)
        assert 2 <= len(text.split()) <= 5
        assert set(text.lower().split()) <= {word.lower() for word in WORDS}
        assert clip.key.startswith(f"{speaker}-") and clip.metadata["gender"] in ("M", "F")
        used |= set(text.lower())
    assert used == set(LETTERS)
    seen = {clip.metadata["trans"] for clip in plan["train"]}
    assert sum(clip.metadata["trans"] in seen for clip in plan["test"]) <= 3
