"""The same numbers as the CPU's: encoder, kNN, probes of clips and frames, CTC, towers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dasheng_reference
import numpy as np
import torch
from gpu_encoder import SAMPLES, SMALL, batch_of, codecs, full
from gpu_probe import clip_features, fit_clips
from gpu_record import Figure, Measured, Settings, differing_share, relative_error
from numpy.typing import NDArray

from earmark.benchmark.embedding.pooling import pool
from earmark.benchmark.metric import character_edits
from earmark.benchmark.probe import Training
from earmark.benchmark.probe.ctc import CTCObjective
from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.frames import train_on_frames
from earmark.benchmark.probe.knn import knn_predict
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.towers import Captions
from earmark.benchmark.probe.two_towers import train_towers
from earmark.benchmark.shards.annotations import ALPHABET
from earmark.encoders import Frames
from earmark.encoders.dasheng import OUTPUTS, TokenizerConfig, random_weights
from earmark.tasks.spec import Event

# Largest ||found - expected|| / ||expected||. Rounding alone was measured on a CPU: through 32
# blocks float32 is 4e-7 from float64 (decoded 1e-6), and products in bfloat16 are 6e-3 from float32
# (decoded 1.3e-2). TF32 would be 3e-4 off: a bound of 1e-4 tells it from float32.
EXACT = 1e-5  # two blocks in float32, beside float64
FRAMES = {"fp32": 1e-4, "bf16": 2e-2}
DECODED = {"fp32": 1e-4, "bf16": 5e-2}
# Training with features that were off by one in the last place moved losses by 5e-7 at most, test
# scores by 3e-7 and similarities of captions by 1.3e-5.
LOSSES, SCORES, SIMILARITIES = 1e-5, 1e-2, 1e-3
FLIPPED = 2e-3  # share of decisions; one may lie between two that are equally good


def measure(settings: Settings) -> Measured:
    """Every subject computed on the CPU and on the device."""
    if settings.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # as a run does
        torch.backends.cuda.matmul.allow_tf32 = False
    yield from against_float64(settings)
    yield from against_cpu(settings, SMALL, "small")
    yield from neighbours(settings)
    yield from probes(settings)
    yield from frames(settings)
    yield from transcripts(settings)
    yield from towers(settings)
    yield from against_cpu(settings, full(settings), "full size")


def against_float64(settings: Settings) -> Measured:
    """A small network on the device and the same written out in float64 with numpy alone."""
    state = {name: tensor.double().numpy() for name, tensor in random_weights(SMALL, 3).items()}
    lengths = [20_000, 40_000] if settings.tiny else [513, 20_000, 170_000]
    waveforms, counts = batch_of(lengths)
    by_output: dict[str, list[float]] = {output: [] for output in OUTPUTS}
    made = encode_all(SMALL, waveforms, counts, settings.device, "fp32")
    for row, length in enumerate(lengths):
        wanted = dasheng_reference.encode(waveforms[row, :length].numpy(), state, SMALL)
        for output in OUTPUTS:
            found = made[output].values[row, : made[output].lengths[row]]
            by_output[output].append(relative_error(found, wanted[output]))
    for output, errors in by_output.items():
        name = f"dasheng:{output}".rstrip(":")
        yield Figure(f"{name}, small, float32 beside float64", max(errors), "", EXACT)


def against_cpu(settings: Settings, config: TokenizerConfig, size: str) -> Measured:
    """Every output, the mean that is stored, and what is decoded of it."""
    lengths = [SAMPLES, 6 * SAMPLES // 10, 43_000]
    if settings.tiny:
        lengths = [24_000, 16_000]
    batch = batch_of(lengths, seed=7)
    encoders = codecs(config, OUTPUTS)
    network = encoders[0].shared
    with torch.inference_mode():
        wanted = {one.output: one.encode(*batch) for one in encoders}
        sound, _ = encoders[0].decode(wanted[""])
        on_device = [part.to(settings.device) for part in batch]
        network.to(settings.device)
        # a CPU computes in float32 whatever is asked
        for precision in ("fp32", "bf16") if settings.device == "cuda" else ("fp32",):
            network.precision = precision
            what = f"dasheng, {size}, {precision}"
            made = {one.output: one.encode(*on_device) for one in encoders}
            errors = [error_of_frames(made[output], wanted[output]) for output in OUTPUTS]
            yield Figure(f"{what}: frames, worst output", max(errors), "", FRAMES[precision])
            mean = relative_error(pool(made[""]), pool(wanted[""]))
            yield Figure(f"{what}: mean of a clip", mean, "", FRAMES[precision])
            latents = Frames(wanted[""].values.to(settings.device), wanted[""].lengths)
            error = relative_error(encoders[0].decode(latents)[0], sound)
            yield Figure(f"{what}: decoded", error, "", DECODED[precision])


def encode_all(
    config: TokenizerConfig,
    waveforms: torch.Tensor,
    lengths: torch.Tensor,
    device: str,
    precision: str,
) -> dict[str, Frames]:
    """Each output's frames of a batch."""
    encoders = codecs(config, OUTPUTS, precision)
    with torch.inference_mode():
        encoders[0].shared.to(device)
        batch = waveforms.to(device), lengths.to(device)
        return {one.output: one.encode(*batch) for one in encoders}


def error_of_frames(found: Frames, expected: Frames) -> float:
    """Of every clip's own frames together; infinite where clips have other numbers of them."""
    counts = expected.lengths.tolist()
    if found.lengths.tolist() != counts:
        return math.inf
    return relative_error(own_frames(found, counts), own_frames(expected, counts))


def own_frames(frames: Frames, counts: list[int]) -> torch.Tensor:
    """The clips' own frames, one after another: (F, D)."""
    parts = [values[:count] for values, count in zip(frames.values, counts, strict=True)]
    return torch.cat(parts)


def neighbours(settings: Settings) -> Measured:
    """Classes by kNN; an item between two classes may fall to either side."""
    count, classes = (600, 5) if settings.tiny else (20_000, 100)
    features, labels = clip_features(count + count // 5, 1280, classes, spread=0.08)
    train, test = features[:count], features[count:]
    found = [
        knn_predict(
            train, labels[:count], test, num_classes=classes, neighbours=10, temperature=0.05,
            device=device,
        ) for device in ("cpu", settings.device)
    ]  # fmt: skip
    share = differing_share(found[1], found[0])
    yield Figure(f"kNN, {count} x 1280: predictions that differ", share, "share", FLIPPED)


def probes(settings: Settings) -> Measured:
    """The linear probe of clips: one class of several, and several labels."""
    count, classes, width = (300, 4, 32) if settings.tiny else (4000, 50, 256)
    features, labels = clip_features(count, width, classes, spread=0.2)
    several = labels[:, None] == np.arange(classes)
    several |= np.random.default_rng(5).random(several.shape) < 0.05
    parts = np.split(np.arange(count), [6 * count // 10, 8 * count // 10])
    for name, wanted in (("one class", labels), ("several labels", several)):
        made = [
            fit_clips(features, wanted, split_of(*parts), classes, device)
            for device in ("cpu", settings.device)
        ]
        error = relative_error(made[1], made[0])
        yield Figure(f"probe of clips, {name}: test scores", error, "", SCORES)


def split_of(train: NDArray[np.int64], valid: NDArray[np.int64], test: NDArray[np.int64]) -> Split:
    """One round of training and testing."""
    return Split("test", train, valid, test, train)


def frame_clips(
    settings: Settings, longest: int
) -> tuple[list[NDArray[np.float16]], list[int], Split]:
    """Clips of random frames, 25 a second, and their parts."""
    rng = np.random.default_rng(11)
    count, width = (12, 24) if settings.tiny else (60, 256)
    lengths = rng.integers(longest // 2, longest, count).tolist()
    values = [rng.standard_normal((n, width)).astype(np.float16) for n in lengths]
    parts = np.split(np.arange(count), [6 * count // 10, 8 * count // 10])
    return values, lengths, split_of(*parts)


def training(settings: Settings, device: str, epochs: int = 3) -> Training:
    """As the tasks train, in fewer epochs."""
    return Training(
        epochs=2 if settings.tiny else epochs, batch_size=8, learning_rate=1e-3,
        learning_rate_floor=0.1, device=device,
    )  # fmt: skip


def frames(settings: Settings) -> Measured:
    """Events: what the heads lose, and which frames they call active."""
    values, lengths, split = frame_clips(settings, 80 if settings.tiny else 500)
    rng = np.random.default_rng(12)
    classes = 4 if settings.tiny else 20
    events = [
        [
            Event(float(start), float(start + 0.7), int(rng.integers(classes)))
            for start in np.arange(0, n / 25 - 0.7, 0.5)
        ]
        for n in lengths
    ]
    for values_of, own in zip(values, events, strict=True):  # something to hear
        for event in own:
            values_of[int(event.onset * 25) : int(event.offset * 25), event.label] += 3
    made = []
    for device in ("cpu", settings.device):
        objective = EventObjective(
            events, lengths, np.array(lengths) / 25, frame_rate=25.0, segment_s=1.0,
            classes=classes, average="macro",
        )  # fmt: skip
        trained = train_on_frames(values, split, range(2), training(settings, device), objective)
        active = [objective.active(packed) for own in trained.predicted for packed in own]
        made.append((trained.losses, np.concatenate(active)))
    error, share = relative_error(made[1][0], made[0][0]), differing_share(made[1][1], made[0][1])
    yield Figure("probe of frames, events: losses", error, "", LOSSES)
    yield Figure("probe of frames, events: decisions that differ", share, "share", FLIPPED)


def transcripts(settings: Settings) -> Measured:
    """CTC: what the heads lose, and the letters that they spell."""
    values, lengths, split = frame_clips(settings, 60 if settings.tiny else 300)
    rng = np.random.default_rng(13)
    texts = []
    for values_of, n in zip(values, lengths, strict=True):
        letters = rng.integers(2, len(ALPHABET), n // 3)
        texts.append("".join(ALPHABET[letter] for letter in letters))
        for place, letter in enumerate(letters):  # something to spell
            values_of[3 * place, letter % values_of.shape[1]] += 6
    made = []
    for device in ("cpu", settings.device):
        objective = CTCObjective(texts, lengths, 25.0)
        trained = train_on_frames(values, split, range(2), training(settings, device, 8), objective)
        made.append((trained.losses, trained.predicted))
    error = relative_error(made[1][0], made[0][0])
    yield Figure("CTC: losses", error, "", LOSSES)
    share = letters_that_differ(made[1][1], made[0][1])
    note = f"of {sum(len(text) for own in made[0][1] for text in own)}"
    yield Figure("CTC: letters that differ", share, "share", FLIPPED, note=note)


def letters_that_differ(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Edits between transcripts by letters of the expected ones; 0 where there are none."""
    pairs = [
        (wanted, text)
        for a, b in zip(found, expected, strict=True)
        for text, wanted in zip(a, b, strict=True)
    ]
    edits = np.sum([character_edits(*pair) for pair in pairs if pair[0]] or [(0, 0)], axis=0)
    empty = any(text for wanted, text in pairs if not wanted)
    return 1.0 if empty else float(edits[0] / max(1, edits[1]))


def towers(settings: Settings) -> Measured:
    """Captions and clips in one space: losses, and similarities on the test clips."""
    count, width = (20, 16) if settings.tiny else (300, 512)
    rng = np.random.default_rng(14)
    embeddings = rng.standard_normal((count, width)).astype(np.float32)
    owners = np.repeat(np.arange(count), 2)
    tokens = [[int(word) for word in rng.integers(0, 200, 8)] for _ in owners]
    captions = Captions(owners, tokens, 200)
    parts = np.split(np.arange(count), [6 * count // 10, 8 * count // 10])
    made = [
        train_towers(
            embeddings, captions, split_of(*parts), range(1), training(settings, device)
        ) for device in ("cpu", settings.device)
    ]  # fmt: skip
    losses = relative_error(made[1].losses, made[0].losses)
    yield Figure("towers: losses", losses, "", LOSSES)
    errors = [
        relative_error(b, a)
        for a, b in zip(made[0].similarities, made[1].similarities, strict=True)
    ]
    yield Figure("towers: similarities", max(errors), "", SIMILARITIES)
