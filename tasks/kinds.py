"""Kinds of labels: one row of `LABEL_KINDS` states everything that holds for all labels of a kind.

What acts on a label of a kind is looked up by its name: `READERS` in `benchmark/shards/labels.py`
reads it from JSON, `SCORERS` in `benchmark/score/run.py` trains and tests its probe. The metrics
are defined in `benchmark/metric/registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def class_names(label: tuple[Any, ...], classes: tuple[str, ...]) -> str:
    """The classes of a label of class indices, as people read them."""
    return "; ".join(classes[index] for index in label)


def event_list(label: tuple[Any, ...], classes: tuple[str, ...]) -> str:
    """The events of a label, each with its class and its times in seconds."""
    return "; ".join(
        f"{classes[event.label]} {event.onset:g}-{event.offset:g} s" for event in label
    )


def joined_text(label: tuple[Any, ...], _: tuple[str, ...]) -> str:
    """The texts of a label."""
    return " ".join(label)


@dataclass(frozen=True)
class LabelKind:
    """What holds for all labels of a kind.

    Attributes:
        metrics: names of the metrics that fit; the first is the usual one.
        has_classes: whether labels name classes that the task file lists; else they are text.
        by_frame: whether the probe sees the frames of a whole clip, not their mean over a crop.
        several: whether a clip may have several classes, or none.
        keys: the keys of the task file's `label` that belong to the kind.
        whole_json: whether the label may be the clip's whole JSON value, in no field.
        allowed_classes: the only names of classes, and what these are in words. None: any name.
        describe: a clip's label and the task's classes to text for people.
        all_classes: whether a whole data set has clips of every class; else some may never occur.
        one_truth: whether two clips of the same audio must have the same label.
    """

    metrics: tuple[str, ...]
    has_classes: bool
    by_frame: bool
    several: bool = False
    keys: tuple[str, ...] = ("field",)
    whole_json: bool = False
    allowed_classes: tuple[frozenset[str], str] | None = None
    describe: Callable[[tuple[Any, ...], tuple[str, ...]], str] = joined_text
    all_classes: bool = True
    one_truth: bool = True

    @property
    def of_clips(self) -> bool:
        """Whether classes are those of a clip as a whole."""
        return self.has_classes and not self.by_frame

    @property
    def timed(self) -> bool:
        """Whether classes are there from one second to another."""
        return self.has_classes and self.by_frame

    @property
    def one_class(self) -> bool:
        """Whether every clip has exactly one class."""
        return self.of_clips and not self.several


_MIDI = frozenset(str(note) for note in range(128)), "MIDI numbers, 0 to 127"
_SEGMENT_F1 = ("segment_f1_macro", "segment_f1_micro")

LABEL_KINDS = {
    "class": LabelKind(
        ("accuracy",), has_classes=True, by_frame=False, keys=("field", "index"),
        describe=class_names,
    ),
    "multilabel": LabelKind(
        ("mAP",), has_classes=True, by_frame=False, several=True,
        keys=("field", "index", "separator"), describe=class_names,
    ),
    "events": LabelKind(
        _SEGMENT_F1, has_classes=True, by_frame=True, several=True, whole_json=True,
        describe=event_list,
    ),
    "notes": LabelKind(
        _SEGMENT_F1, has_classes=True, by_frame=True, several=True, whole_json=True,
        allowed_classes=_MIDI, describe=event_list, all_classes=False,
    ),
    "captions": LabelKind(
        ("recall@1",), has_classes=False, by_frame=False, keys=("fields",), one_truth=False,
    ),
    "transcript": LabelKind(("WER_inv",), has_classes=False, by_frame=True),
}  # fmt: skip
