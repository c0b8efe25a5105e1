"""Events as X-ARES frames them: by whole hops, on batches with their padding.

Against the package's own terms: torch's modules, max_pool1d, scikit-learn's f1_score.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import audio_bytes, clip_members, write_tar
from frame_items import make_spec, timed_items
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch.nn.functional import max_pool1d
from xares_items import QUICK, Tones

from earmark import evaluate
from earmark.benchmark.probe import Training
from earmark.benchmark.probe.events_xares import XaresEventObjective
from earmark.benchmark.probe.frames import Span, train_on_frames
from earmark.benchmark.probe.splits import Split, make_splits
from earmark.benchmark.score import score_items
from earmark.tasks import ProbeSettings
from earmark.tasks.spec import Event


def ceil_frames(seconds: float, hop_ms: float) -> int:
    return math.ceil(seconds / (hop_ms / 1000))


def targets_by_hand(events: Any, frames: int, classes: int, hop_ms: float) -> torch.Tensor:
    """(C, frames): cut, or padded with zeros, to so many frames."""
    target = torch.zeros(classes, frames)
    for onset, offset, label in events:
        target[label, ceil_frames(onset, hop_ms) : ceil_frames(offset, hop_ms)] = 1
    return target


def pooled(active: torch.Tensor, segment_s: float, hop_ms: float) -> torch.Tensor:
    """Segments of one clip (C, T) -> (N, C), as torch pools them."""
    return max_pool1d(active[None], ceil_frames(segment_s, hop_ms))[0].T


def objective(
    events: Any, lengths: list[int], hop_ms: float, **changes: Any
) -> XaresEventObjective:
    facts: dict[str, Any] = {
        "frame_rate": 1000 / hop_ms, "segment_s": 0.1, "classes": 3, "average": "macro",
        "parts": [np.arange(len(lengths))], "batch_size": 2, "absent_classes": "zero",
    }  # fmt: skip
    return XaresEventObjective(
        events, lengths, np.array(lengths) * hop_ms / 1000, **facts | changes
    )


times = st.integers(0, 4000).map(lambda ms: ms / 1000)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(times, times, st.integers(0, 2)), max_size=6),
    st.integers(1, 60),
    st.sampled_from([10.0, 15.0, 16.0, 20.0, 30.0, 32.0, 40.0, 46.0, 80.0, 1000 * 320 / 22050]),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.integers(0, 40),
)  # fmt: skip
def test_targets_and_segments_are_whole_hops(
    drawn: Any, length: int, hop_ms: float, segment_s: float, more: int
) -> None:
    events = tuple(Event(min(a, b), max(a, b), c) for a, b, c in drawn)
    # beside a clip that is longer: the shorter is padded to it
    made = objective([events, ()], [length, length + more], hop_ms, segment_s=segment_s)
    assert made.extent(0) == length + more
    wanted = targets_by_hand(events, length + more, 3, hop_ms)
    np.testing.assert_array_equal(made.targets(Span(0, 0, length + more)), wanted.T.numpy())
    middle = Span(0, (length + more) // 3, length + more)
    np.testing.assert_array_equal(made.targets(middle), wanted.T.numpy()[middle.start :])
    if length + more >= ceil_frames(segment_s, hop_ms):  # else torch refuses to pool
        np.testing.assert_array_equal(made.segments(0), pooled(wanted, segment_s, hop_ms).numpy())
        said = np.random.default_rng(length).random((length + more, 3)) < 0.3
        found = made.predicted_segments(np.packbits(said, axis=1), 0)
        turned = pooled(torch.from_numpy(said.T).float(), segment_s, hop_ms)
        np.testing.assert_array_equal(found, turned.numpy())


def test_edges_at_whole_hops_are_not_moved_by_rounding() -> None:
    samples = (160, 256, 320, 512, 600, 640, 1024, 1920)
    rates = (16_000, 22_050, 24_000, 44_100, 48_000)
    odd = [1000 * hop / rate for hop in samples for rate in rates]
    for hop_ms in [*(h / 2 for h in range(2, 260)), *odd]:
        made = objective([()], [4], hop_ms, segment_s=1.0)
        onsets = np.arange(100) * hop_ms / 1000
        assert made.edges(onsets).tolist() == [ceil_frames(onset, hop_ms) for onset in onsets]
        assert made.frames_a_segment == ceil_frames(1.0, hop_ms)


def test_every_batch_that_is_tested_has_its_own_longest() -> None:
    made = objective(
        [()] * 7, [5, 9, 4, 3, 8, 2, 6], 10.0, parts=[np.array([1, 2, 3]), np.array([5, 6, 4])]
    )
    assert {clip: made.extent(clip) for clip in (1, 2, 3, 4, 5, 6)} == {
        1: 9, 2: 9, 3: 3, 4: 8, 5: 6, 6: 6,
    }  # fmt: skip


def test_loss_counts_the_padding_of_the_batch() -> None:
    events = [(Event(0.0, 0.03, 1),), (Event(0.01, 0.5, 0), Event(0.02, 0.04, 2))]
    made = objective(events, [4, 9], 10.0, positive_weight=10.0)
    batch = np.array([0, 1])
    blocks = list(made.blocks(batch))
    assert [span.stop - span.start for block in blocks for span in block] == [9, 9]
    logits = torch.randn(18, 1, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.stack([targets_by_hand(own, 9, 3, 10.0).T for own in events])
    wanted = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(10.0))(logits.view(2, 9, 3), target)
    wanted.backward()
    slope, loss = made.slope(logits.detach(), blocks[0], batch)
    assert loss[0] == pytest.approx(wanted.item(), rel=1e-5)
    assert logits.grad is not None
    torch.testing.assert_close(slope, logits.grad, rtol=1e-4, atol=1e-7)


class Theirs(torch.nn.Module):
    """LayerNorm and Linear on every frame of a padded batch."""

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.norm, self.linear = torch.nn.LayerNorm(dimension), torch.nn.Linear(dimension, classes)

    def forward(self, batch: list[Any]) -> torch.Tensor:
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(np.asarray(one, np.float32)) for one in batch], batch_first=True
        )
        found: torch.Tensor = self.linear(self.norm(padded))
        return found


def their_f1(logits: list[torch.Tensor], targets: list[torch.Tensor], pool: int) -> float:
    """F1 over all batches (B, T, C), as the package pools and scores them."""
    both = [
        torch.cat(
            [max_pool1d(one.transpose(1, 2), pool).transpose(1, 2).flatten(0, 1) for one in batches]
        )
        for batches in ([one.sigmoid().round() for one in logits], targets)
    ]
    return float(f1_score(both[1], both[0], average="macro", zero_division=0))


def test_training_and_test_equal_padded_batches_through_torchs_modules(monkeypatch: Any) -> None:
    sizes = {"train": 10, "test": 5}
    items = timed_items(sizes)
    rate, hop_ms, epochs = 10.0, 100.0, 4
    spec = make_spec("events", "segment_f1_macro", sizes, ProbeSettings(epochs, 4))
    scored = score_items(items, spec, QUICK, frame_rate=rate)
    (split,) = make_splits(items, spec, QUICK)

    # the same first weights and the same order of clips, by the probe's own means
    from earmark.benchmark.probe.heads import HeadKey, initial_parameters

    first = torch.from_numpy(initial_parameters(HeadKey(0, 0), 6, 3))
    model = Theirs(6, 3)
    model.linear.weight.data = first[:18].view(3, 6).clone()
    model.linear.bias.data = first[18:21].clone()
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    order = np.random.default_rng([1])

    def batch_of(clips: Any) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model([items.frames[i] for i in clips])
        targets = [
            targets_by_hand(items.annotations[i], logits.shape[1], 3, hop_ms).T for i in clips
        ]
        return logits, torch.stack(targets)

    qualities, losses = [], []
    for epoch in range(epochs):
        cosine = (1 + math.cos(math.pi * epoch / epochs)) / 2
        optimiser.param_groups[0]["lr"] = 1e-4 + 9e-4 * cosine
        mixed = order.permutation(split.train)
        losses.append([])
        for start in range(0, len(mixed), 4):
            optimiser.zero_grad()
            loss = torch.nn.BCEWithLogitsLoss()(*batch_of(mixed[start : start + 4]))
            loss.backward()
            optimiser.step()
            losses[-1].append(loss.item())
        with torch.no_grad():
            tested = [batch_of(split.test[i : i + 4]) for i in range(0, 5, 4)]
        qualities.append(their_f1([a for a, _ in tested], [b for _, b in tested], 5))
    score = scored.scores["linear"]
    assert score.training_loss == pytest.approx([np.mean(own) for own in losses], rel=1e-4)
    assert score.validation == pytest.approx(qualities)
    # the part that is tested chooses the epoch, so the best of all is the score
    assert score.value == pytest.approx(max(qualities))
    assert score.best_epochs == {"test": [int(np.argmax(qualities)) + 1]}
    assert max(qualities) > 0


def test_a_clip_is_predicted_with_its_padding() -> None:
    """In the second, shorter batch nothing is padded; in the first the short one is."""
    items = timed_items({"train": 4, "test": 3})
    lengths = [len(frames) for frames in items.frames]
    split = Split("test", *(np.array(part) for part in ([0, 1, 2, 3], [4, 5, 6], [4, 5, 6])),
                  given_train=np.arange(4))  # fmt: skip
    made = XaresEventObjective(
        items.annotations, lengths, items.seconds, frame_rate=10.0, segment_s=0.5, classes=3,
        average="micro", parts=[split.test], batch_size=2,
    )  # fmt: skip
    training = Training(epochs=2, batch_size=4, learning_rate=1e-3, learning_rate_floor=0.1)
    found = train_on_frames(items.frames, split, [0, 1], training, made)
    longest = max(lengths[4], lengths[5])
    assert [[len(own) for own in seeds] for seeds in found.predicted] == [
        [longest] * 2, [longest] * 2, [lengths[6]] * 2,
    ]  # fmt: skip


def test_events_of_a_run_are_framed_by_whole_hops(tmp_path: Path) -> None:
    """A run's tested segments, from the tar on: the encoder's batches, then the probe's."""
    from frame_tasks import BODIES, HEAD, RATE

    rng = np.random.default_rng(1)
    written: dict[str, list[tuple[str, int, Any]]] = {}
    for split, count in (("train", 5), ("valid", 2), ("test", 5)):
        members: list[Any] = []
        written[split] = []
        for i in range(count):
            samples = int(rng.integers(9_000, 24_000))
            onset = float(rng.integers(0, 300)) / 1000
            events = [{"onset": onset, "offset": onset + 0.2, "label": "low"}]
            key = f"{'qzamb'[i]}{split}"
            audio = audio_bytes(0.1 * rng.standard_normal(samples), RATE)
            members += clip_members(key, audio, events)
            written[split].append((key, samples, (Event(onset, onset + 0.2, 0),)))
        write_tar(tmp_path / "data" / "events" / f"{split}-000.tar", members)
    (tmp_path / "events.yaml").write_text(
        HEAD.format(name="events", folder="events") + BODIES["events"]
    )
    protocol = dataclasses.replace(QUICK, encode_batch=3)
    (result,) = evaluate(
        Tones(), str(tmp_path / "events.yaml"), data=tmp_path / "data", protocol=protocol,
        results=tmp_path / "r", device="cpu",
    )  # fmt: skip
    assert result.error is None
    from earmark.benchmark.result.schema import Predictions

    (file,) = (tmp_path / "r").rglob("*.npz")
    predictions = Predictions.load(file)
    stored = {}
    clips = written["test"]
    for start in range(0, len(clips), 3):  # in the order of the tar
        batch = clips[start : start + 3]
        frames = max(samples for _, samples, _ in batch) // 1600
        stored |= {key: (frames, events) for key, _, events in batch}
    expected = []
    keys = sorted(stored)
    for start in range(0, len(keys), 4):  # the probe's batch
        batch = keys[start : start + 4]
        longest = max(stored[key][0] for key in batch)
        for key in batch:
            target = targets_by_hand(stored[key][1], longest, 3, 100.0)
            expected.append(pooled(target, 0.5, 100.0).numpy())
    assert predictions.keys.tolist() == keys
    assert predictions.segments.tolist() == [len(own) for own in expected]
    found = np.unpackbits(predictions.labels, axis=1, count=3)
    np.testing.assert_array_equal(found, np.concatenate(expected))
