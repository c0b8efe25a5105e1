"""Scores of events, notes, captions and transcripts, worked out again from the predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jiwer
import mir_eval
import numpy as np
import pytest
from frame_items import RATE, SPLITS, make_items, make_spec, timed_items
from scipy import stats
from sklearn.metrics import f1_score

from earmark.benchmark.probe.items import Items
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.result.schema import Score
from earmark.benchmark.score import Scored, score_items
from earmark.tasks import ProbeSettings

# the task's own rate and epochs; for the search over rates see test_search.py
PROTOCOL = dataclasses.replace(
    STRICT, seeds=3, bootstrap_resamples=400, learning_rates=(), least_updates=0
)
FOLDS = {"1": 12, "2": 7, "3": 10}


def check_score(score: Score, per_seed: list[float], epochs: int) -> None:
    """What holds for any of these scores."""
    assert score.per_seed == pytest.approx(per_seed)
    mean = sum(per_seed) / len(per_seed)
    assert score.value == pytest.approx(mean)
    spread = sum((one - mean) ** 2 for one in per_seed) / (len(per_seed) - 1)
    assert score.spread == pytest.approx(spread**0.5)
    assert len(set(per_seed)) > 1
    if score.sources < 6:
        assert score.interval is None
    else:
        assert score.interval is not None
        assert score.interval[0] < score.value < score.interval[1]
    assert score.best_epochs is not None
    assert list(score.best_epochs) == list(score.per_split)
    assert all(len(b) == 3 and 1 <= min(b) <= max(b) <= epochs for b in score.best_epochs.values())
    assert score.training_loss is not None
    assert len(score.training_loss) == epochs
    assert score.training_loss[-1] < score.training_loss[0]
    assert score.validation is not None
    assert len(score.validation) == epochs
    assert score.confidence == 0.95


def check_interval(score: Score, statistic: Callable[[Any], float], sources: Any) -> None:
    """Against sources left out one by one; statistic: of item indices."""
    sizes = np.unique(sources, return_counts=True)[1]
    left = np.array([statistic(np.flatnonzero(sources != s)) for s in np.unique(sources)])
    count = len(left)
    variance = (count - 1) / count * ((left - score.value) ** 2).sum()
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    items = score.value * (1 - score.value) / variance
    items *= (stats.norm.ppf(0.975) / stats.t.ppf(0.975, freedom)) ** 2
    hits = items * (count * score.value - (count - 1) * left.mean())
    low = stats.beta.ppf(0.025, hits, items - hits + 1)
    high = stats.beta.ppf(0.975, hits + 1, items - hits)
    assert score.interval == pytest.approx([low, high])


def unpacked(result: Scored, classes: int = 3) -> tuple[Any, Any, Any]:
    """Segments of the reference (N, C), of each seed (S, N, C), and each segment's item."""
    predictions = result.predictions
    assert predictions.segments is not None
    item = np.repeat(np.arange(len(predictions.keys)), predictions.segments)
    bits = [
        np.unpackbits(packed, axis=-1)[..., :classes].astype(bool)
        for packed in (predictions.labels, predictions.linear)
    ]
    assert bits[0].shape == (len(item), classes)
    assert bits[1].shape == (3, len(item), classes)
    return bits[0], bits[1], item


def macro(wanted: Any, found: Any) -> float:
    each = f1_score(wanted, found, average=None, zero_division=0.0)
    return float(np.mean(each[wanted.any(axis=0)]))


def micro(wanted: Any, found: Any) -> float:
    return float(f1_score(wanted.ravel(), found.ravel()))


@pytest.mark.parametrize("sizes", [SPLITS, FOLDS], ids=["splits", "folds"])
def test_events(sizes: dict[str, int]) -> None:
    items = timed_items(sizes)
    spec = make_spec("events", "segment_f1_macro", sizes, ProbeSettings(5, 4, 0.02))
    result = score_items(items, spec, PROTOCOL, frame_rate=RATE)
    (score,) = result.scores.values()
    wanted, found, item = unpacked(result)
    check_score(score, [macro(wanted, one) for one in found], 5)
    predictions = result.predictions
    tested = np.flatnonzero(items.splits == "test") if "test" in sizes else np.arange(29)
    assert predictions.keys.tolist() == items.keys[tested].tolist()
    assert predictions.sources.tolist() == [items.source_names[s] for s in items.sources[tested]]
    assert predictions.splits.tolist() == items.splits[tested].tolist()
    # half-second segments of five frames, the last of which may be cut short
    segments = [
        [[any(e.label == c and e.onset < s / 2 + 0.5 and e.offset > s / 2
              for e in items.annotations[clip]) for c in range(3)]
         for s in range(-(-len(items.frames[clip]) // 5))]
        for clip in tested
    ]  # fmt: skip
    assert wanted.tolist() == [row for own in segments for row in own]
    for name, value in score.per_split.items():
        mine = predictions.splits[item] == name
        assert value == pytest.approx(np.mean([macro(wanted[mine], f[mine]) for f in found]))
    assert list(score.per_split) == (["test"] if "test" in sizes else list(FOLDS))
    assert (score.metric, score.items, score.not_computed) == ("segment_f1_macro", len(tested), 0)
    assert score.sources == len(set(items.sources[tested].tolist()))
    assert score.also == {}
    assert 0.3 < score.value < 0.95
    if "test" not in sizes:

        def drawn_f1(drawn: Any) -> float:
            rows = np.concatenate([np.flatnonzero(item == i) for i in drawn])
            return float(np.mean([macro(wanted[rows], one[rows]) for one in found]))

        check_interval(score, drawn_f1, items.sources)


def test_class_that_no_test_clip_has_is_left_out_and_counted() -> None:
    items = timed_items(SPLITS)
    for i in np.flatnonzero(items.splits == "test"):
        items.annotations[i] = tuple(e for e in items.annotations[i] if e.label != 1)
    probe = ProbeSettings(5, 4, 0.02)
    for metric, mean, left_out in (("macro", macro, 1), ("micro", micro, 0)):
        spec = make_spec("events", f"segment_f1_{metric}", SPLITS, probe)
        result = score_items(items, spec, PROTOCOL, frame_rate=RATE)
        wanted, found, _ = unpacked(result)
        assert not wanted[:, 1].any()
        assert found[:, :, 1].any()
        score = result.scores["linear"]
        assert score.per_seed == pytest.approx([mean(wanted, one) for one in found])
        assert score.not_computed == left_out


def test_notes_with_note_f1_beside() -> None:
    """Segments as long as a frame: the packed bits are the frames, and notes follow from them."""
    items = timed_items(SPLITS, classes=10)
    silent = int(np.flatnonzero(items.splits == "test")[4])
    items.annotations[silent] = ()  # note scores are undefined here, segments are not
    probe = ProbeSettings(6, 1, 0.01, positive_weight=2.0)
    classes = tuple(str(60 + i) for i in range(10))
    spec = make_spec(
        "notes", "segment_f1_micro", SPLITS, probe, classes=classes, segment_seconds=1 / RATE
    )
    result = score_items(items, spec, PROTOCOL, frame_rate=RATE)
    score = result.scores["linear"]
    wanted, found, item = unpacked(result, 10)
    check_score(score, [micro(wanted, one) for one in found], 6)
    assert score.not_computed == 0
    tested = np.flatnonzero(items.splits == "test")
    assert result.predictions.segments is not None
    assert result.predictions.segments.tolist() == [len(items.frames[i]) for i in tested]
    rows = []
    for place, clip in enumerate(tested):
        notes = items.annotations[clip]
        if not notes:
            continue
        reference = np.array([[e.onset, e.offset] for e in notes])
        pitch = 440 * 2 ** (np.array([e.label for e in notes]) / 12)
        for one in found[:, item == place]:
            runs = [run for c in range(10) for run in runs_of(one[:, c], c)]
            times = np.array([run[:2] for run in runs]).reshape(-1, 2) / RATE
            hertz = 440 * 2 ** (np.array([run[2] for run in runs]) / 12)
            rows.append(
                mir_eval.transcription.precision_recall_f1_overlap(
                    reference, pitch, times, hertz, offset_ratio=None
                )[:3]
            )
    names = ("note_precision", "note_recall", "note_f1")
    assert score.also == pytest.approx(dict(zip(names, np.mean(rows, axis=0), strict=True)))
    assert 0 < score.also["note_f1"] < score.value


def runs_of(active: Any, label: int) -> list[tuple[int, int, int]]:
    """Runs of True as (first, one past the last, label)."""
    padded = [False, *active.tolist(), False]
    starts = [i for i in range(len(active) + 1) if padded[i + 1] and not padded[i]]
    ends = [i for i in range(len(active) + 1) if padded[i] and not padded[i + 1]]
    return [(a, b, label) for a, b in zip(starts, ends, strict=True)]


ADJECTIVES, NOUNS = ("loud", "soft", "near", "far"), ("dog", "cat", "car", "bell", "rain")


def test_captions() -> None:
    rng = np.random.default_rng(9)
    sizes = {"train": 45, "valid": 12, "test": 20}
    chosen = rng.integers(0, (4, 5), (77, 2))
    hot = np.concatenate([np.eye(4)[chosen[:, 0]], np.eye(5)[chosen[:, 1]]], axis=1)
    embeddings = (hot + 0.3 * rng.standard_normal(hot.shape)).astype(np.float32)
    texts = [
        tuple(f"{ADJECTIVES[a]} {NOUNS[n]} {word}" for word in ("here", "there", "x")[: 1 + i % 3])
        for i, (a, n) in enumerate(chosen)
    ]
    items = make_items(sizes, texts, embeddings=embeddings)
    spec = make_spec(
        "captions", "recall@1", sizes, ProbeSettings(5, 16, 0.01), classes=(), segment_seconds=None
    )
    result = score_items(items, spec, PROTOCOL)
    score, predictions = result.scores["linear"], result.predictions
    tested = np.flatnonzero(items.splits == "test")
    owners = [place for place, i in enumerate(tested) for _ in texts[i]]
    assert predictions.labels.tolist() == owners
    assert predictions.linear.shape == (20, 3)
    assert predictions.caption_ranks is not None
    assert predictions.caption_ranks.shape == (len(owners), 3)
    assert predictions.caption_ranks.max() < 20
    assert predictions.linear.max() < len(owners)
    both = [
        (np.mean(clip == 0) + np.mean(text == 0)) / 2
        for clip, text in zip(predictions.linear.T, predictions.caption_ranks.T, strict=True)
    ]
    check_score(score, both, 5)
    assert score.per_split == {"test": pytest.approx(score.value)}
    for way, ranks in (
        ("clip_to_caption", predictions.linear), ("caption_to_clip", predictions.caption_ranks)
    ):  # fmt: skip
        for k in (1, 5, 10):
            shares = [np.mean([rank < k for rank in column]) for column in ranks.T]
            assert score.also[f"{way}_recall@{k}"] == pytest.approx(np.mean(shares))
    # a caption has one clip: its average precision is one over its rank, counted from 1
    near = [1 / (r + 1) if r < 10 else 0.0 for r in predictions.caption_ranks.ravel()]
    assert score.also["caption_to_clip_mAP@10"] == pytest.approx(np.mean(near))
    assert len(score.also) == 8
    assert score.tokens == "words of the training captions"
    assert (score.metric, score.items) == ("recall@1", 20)
    owner = np.array(owners)

    def drawn_recall(drawn: Any) -> float:
        mine = np.concatenate([np.flatnonzero(owner == i) for i in drawn])
        assert predictions.caption_ranks is not None
        hits = (
            (predictions.linear[drawn] == 0).mean(),
            (predictions.caption_ranks[mine] == 0).mean(),
        )
        return float(np.mean(hits))

    check_interval(score, drawn_recall, items.sources[tested])


def spoken_items() -> tuple[Items, list[str]]:
    """Letters as frames at 50 Hz, each followed by one of silence."""
    rng = np.random.default_rng(6)
    letters = "_ 'abcdefghijklmnopqrstuvwxyz"
    codes = 3 * rng.standard_normal((29, 10))
    frames, texts = [], []
    for _ in range(sum(SPLITS.values())):
        text = " ".join(
            "".join(rng.choice(list("abcd"), rng.integers(1, 4))) for _ in range(rng.integers(1, 4))
        )
        steps = [0] + [s for letter in text for s in (letters.index(letter), 0)]
        noise = 1.5 * rng.standard_normal((len(steps), 10))
        frames.append((codes[steps] + noise).astype(np.float16))
        texts.append(text)
    seconds = np.array([len(one) / 50 for one in frames])
    return make_items(SPLITS, [(t,) for t in texts], frames=frames, seconds=seconds), texts


def test_transcripts() -> None:
    items, texts = spoken_items()
    spec = make_spec(
        "transcript", "WER_inv", SPLITS, ProbeSettings(15, 4, 0.05), classes=(),
        segment_seconds=None,
    )  # fmt: skip
    items = dataclasses.replace(  # two clips a source, so that six are tested
        items, sources=np.arange(len(items)) // 2, source_names=[f"r{i}" for i in range(99)]
    )
    result = score_items(items, spec, PROTOCOL, frame_rate=50.0)
    score, predictions = result.scores["linear"], result.predictions
    tested = np.flatnonzero(items.splits == "test")
    references = [texts[i] for i in tested]
    assert predictions.labels.tolist() == references
    assert predictions.linear.shape == (11, 3)
    columns = [column.tolist() for column in predictions.linear.T]
    rates = [jiwer.wer(references, column) for column in columns]
    check_score(score, [max(0.0, 1 - rate) for rate in rates], 15)
    assert score.also == pytest.approx(
        {"WER": np.mean(rates), "CER": np.mean([jiwer.cer(references, c) for c in columns])}
    )
    assert score.per_split == {"test": pytest.approx(score.value)}
    assert (score.metric, score.items) == ("WER_inv", 11)
    assert 0.1 < score.value < 1

    def drawn_share(drawn: Any) -> float:
        wanted = [references[i] for i in drawn]
        return float(
            np.mean([max(0.0, 1 - jiwer.wer(wanted, [c[i] for i in drawn])) for c in columns])
        )

    check_interval(score, drawn_share, items.sources[tested])


def test_wer_beyond_one_is_a_score_of_zero() -> None:
    """One epoch at a rate that learns nothing useful: what is spelled is nearly all wrong."""
    items, _ = spoken_items()
    spec = make_spec(
        "transcript", "WER_inv", SPLITS, ProbeSettings(1, 4, 1e-6), classes=(),
        segment_seconds=None,
    )  # fmt: skip
    score = score_items(items, spec, PROTOCOL, frame_rate=25.0).scores["linear"]
    assert score.also["WER"] > 1
    assert score.value == 0.0
    assert score.per_seed == [0.0] * 3


def test_one_seed_has_no_spread_and_one_source_no_interval() -> None:
    items = timed_items(SPLITS)
    items.sources[items.splits == "test"] = items.sources.max()
    spec = make_spec("events", "segment_f1_micro", SPLITS, ProbeSettings(2, 4, 0.02))
    one = dataclasses.replace(PROTOCOL, seeds=1)
    score = score_items(items, spec, one, frame_rate=RATE).scores["linear"]
    assert (score.spread, score.interval, score.sources) == (None, None, 1)
    assert np.isfinite(score.value)


def test_positive_frames_weigh_what_the_task_says() -> None:
    """The heavier a positive frame, the more is found; that F1 chooses the epoch evens it out."""
    items = timed_items(SPLITS)
    found = []
    for weight in (0.1, 1.0, 10.0):
        probe = ProbeSettings(20, 4, 0.05, positive_weight=weight)
        spec = make_spec("events", "segment_f1_micro", SPLITS, probe)
        found.append(unpacked(score_items(items, spec, PROTOCOL, frame_rate=RATE))[1].mean())
    assert found[0] < found[1], found
    assert found[1] < found[2] - 0.05, found
