"""The probe of clips at VoxCeleb1's size, and kNN beside it: seconds and accuracy."""

from __future__ import annotations

import numpy as np
from gpu_machine import timed
from gpu_record import AT_LEAST, Figure, Measured, Settings
from numpy.typing import NDArray

from earmark.benchmark.probe.knn import knn_predict
from earmark.benchmark.probe.linear import fit_linear
from earmark.benchmark.probe.splits import Split

# iden_split.txt: clips of training, validation and test; speakers
TRAIN, VALID, TEST, SPEAKERS = 138_361, 6_904, 8_251, 1251
WIDTH = 1280
PROBE_SECONDS, KNN_SECONDS, LEARNED = 60.0, 10.0, 0.5


def fit_clips(
    features: NDArray[np.float32],
    labels: NDArray[np.int64] | NDArray[np.bool_],
    split: Split,
    classes: int,
    device: str,
) -> NDArray[np.float32]:
    """Fit the probe of clips and score the test items: (M, C).

    labels: (N,) classes, or (N, C) for several a clip.
    """
    model, _ = fit_linear(
        features, labels, train=split.train, valid=split.valid, every=None, classes=classes,
        device=device,
    )  # fmt: skip
    return model.scores(features[split.test])


def measure(settings: Settings) -> Measured:
    """One split with a validation part of its own: a path of strengths."""
    sizes, classes, width = (TRAIN, VALID, TEST), SPEAKERS, WIDTH
    if settings.tiny:
        sizes, classes, width = (400, 60, 60), 5, 64
    features, labels = clip_features(sum(sizes), width, classes, spread=0.15 if width > 64 else 0.8)
    train, valid, test = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    split = Split("test", train, valid, test, train)
    warm_up(settings)
    found: list[NDArray[np.float32]] = []
    seconds = timed(
        lambda: found.append(fit_clips(features, labels, split, classes, settings.device)),
        settings.device,
    )
    what = f"{sizes[0]} x {width}, {classes} classes"
    yield Figure(f"probe of clips, {what}", seconds, "s", PROBE_SECONDS)
    right = float((found[0].argmax(axis=1) == labels[test]).mean())
    yield Figure("its accuracy", right, "share", LEARNED, AT_LEAST)
    predicted: list[NDArray[np.int64]] = []
    seconds = timed(
        lambda: predicted.append(
            knn_predict(
                features[train], labels[train], features[test], num_classes=classes,
                neighbours=10, temperature=0.05, device=settings.device,
            )
        ),
        settings.device,
    )  # fmt: skip
    yield Figure(f"kNN, {what}", seconds, "s", KNN_SECONDS)
    # low: noise in all 1280 directions hides from the nearest what a fit over all items finds
    yield Figure("accuracy of kNN", float((predicted[0] == labels[test]).mean()), "share")


def warm_up(settings: Settings) -> None:
    """Load what the probe needs on the device, on a small problem."""
    features, labels = clip_features(400, 64, 5, spread=0.8)
    train, valid, test = np.split(np.arange(400), [300, 350])
    split = Split("test", train, valid, test, train)
    fit_clips(features, labels, split, 5, settings.device)


def clip_features(
    count: int, width: int, classes: int, *, spread: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (N, D) and classes (N,): noise of variance 1 about means that lie `spread` apart."""
    rng = np.random.default_rng(seed)
    means = spread * rng.standard_normal((classes, width), np.float32)
    labels = rng.integers(0, classes, count)
    features = rng.standard_normal((count, width), np.float32)
    features += means[labels]
    return features, labels
