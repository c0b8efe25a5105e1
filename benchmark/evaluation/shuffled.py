"""The control of labels: probes that are taught shuffled labels and tested on the true ones.

What they reach is chance, whatever the embeddings hold: a score that is not above it shows nothing,
and one that is above chance here would show a leak from test items into training (Zhang et al.,
ICLR 2017, arXiv 1611.03530, shuffle labels to the same end).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.probe.items import Items
from earmark.benchmark.shots import METRICS
from earmark.tasks import TaskSpec


def applies(spec: TaskSpec) -> bool:
    """Whether a task has such a control: those whose clips have classes."""
    return spec.metric in METRICS


def shuffled_fingerprint(fingerprint: str) -> str:
    """The fingerprint of an encoder's control of labels."""
    return hashlib.sha256(f"{fingerprint} shuffled labels".encode()).hexdigest()


def shuffle_labels(items: Items, task: str) -> Items:
    """Items whose probes are taught labels in another order, the same for every encoder.

    Within each split or fold. Where all items of each source have one label, sources exchange their
    labels, else clips do: what goes together stays together, as in the test of the true labels.
    task: its name, of which the order is drawn.
    """
    seed = np.frombuffer(hashlib.sha256(f"labels {task}".encode()).digest(), np.dtype("<u4"))
    rng = np.random.RandomState(seed.astype(np.uint32))
    taught = items.labels.copy()
    units = items.sources if _one_label_each(items.labels, items.sources) else items.clips
    for split in np.unique(items.splits):
        rows = np.flatnonzero(items.splits == split)
        _, firsts, places = np.unique(units[rows], return_index=True, return_inverse=True)
        labels = items.labels[rows[firsts]]
        taught[rows] = labels[rng.permutation(len(firsts))][places.reshape(-1)]
    return replace(items, taught=taught)


def _one_label_each(
    labels: NDArray[np.int64] | NDArray[np.bool_], units: NDArray[np.int64]
) -> bool:
    _, firsts, places = np.unique(units, return_index=True, return_inverse=True)
    return bool(np.array_equal(labels[firsts][places.reshape(-1)], labels))
