"""TaskSpec: the declaration of one task, read from a short YAML file.

A task file states where the shards lie, how a label and a source are read, which splits or
folds there are, how the probe is trained and what is measured. It holds data only; everything
that acts on it lives in `benchmark`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from earmark.tasks.kinds import LABEL_KINDS, LabelKind

DOMAINS = ("speech", "sound", "music")
SPLIT_NAMES = ("train", "valid", "test")


class TaskError(ValueError):
    """A task file that cannot be used. The message names the file, the fault and the fix."""


def plain_name(value: Any) -> str | None:
    """A JSON value as the name it stands for; None where it stands for none.

    Text without white space around it, in Unicode's NFC; a whole number by its digits, and so a
    float that is whole (pandas writes a column of whole numbers with a gap so). From 2^53 on a
    float no longer tells neighbours apart, so it names nothing. Nor do truth values.

    Example:
        >>> plain_name(" dog "), plain_name(7.0), plain_name(7.5), plain_name(True)
        ('dog', '7', None, None)
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return unicodedata.normalize("NFC", str(value).strip()) or None


@dataclass(frozen=True)
class LabelRule:
    """How a clip's label is read from its JSON.

    Attributes:
        kind: a row of `LABEL_KINDS`: `class` (one of C), `multilabel` (any of C), `events` (list of
            onset, offset and label), `notes` (list of start, end and MIDI note), `captions` (texts
            that describe the clip), `transcript` (what is said).
        field: the JSON field that holds it. Events and notes: empty where the whole JSON value is
            the list. Captions have `fields` instead.
        index: the field holds the class index 0..C-1 itself, not a name.
        separator: multilabel only: what stands between the names in one string; the field may
            also hold a JSON list of names.
        fields: captions only: the JSON fields that hold one caption each.
        keep_case: transcripts only: as the data set spells them, not in lower case. A protocol's
            choice, which no task file states.
    """

    kind: str
    field: str = ""
    index: bool = False
    separator: str = ";"
    fields: tuple[str, ...] = ()
    keep_case: bool = False


@dataclass(frozen=True)
class SourceRule:
    """How a clip's source (speaker, recording, ...) is known: the unit of intervals and splits.

    Attributes:
        unit: what a source is, in words: `speaker`, `actor`, `recording`, `video`, `file`, ...
        key: a regular expression matched from the start of the clip's key; its group `source` is
            the source. None: see `field`.
        field: a JSON field that holds the source: text, or a whole number. With neither, each clip
            is its own source; where `key` does not fit, too, and the result says for how many clips
            that was so. A clip without its field has failed, unless no clip of the task has it.
    """

    unit: str
    key: str | None = None
    field: str | None = None

    @property
    def by_clip(self) -> bool:
        """Whether every clip is its own source, as the task declares."""
        return self.key is None and self.field is None

    def source_of(self, clip_key: str, metadata: Any) -> str | None:
        """Source of a clip by this rule; None where the rule does not apply to it."""
        if self.field is not None:
            return plain_name(metadata.get(self.field)) if isinstance(metadata, dict) else None
        if self.key is not None:
            found = re.match(self.key, clip_key)
            return found.group("source") or None if found else None
        return None

    def has_field(self, metadata: Any) -> bool:
        """Whether a clip's JSON has the field, whatever it holds."""
        return isinstance(metadata, dict) and self.field in metadata

    def fault_of(self, metadata: Any) -> str | None:
        """Why the field of a clip's JSON holds no source, in words; None where it does."""
        if self.field is None or self.source_of("", metadata) is not None:
            return None
        if not self.has_field(metadata):
            return f"its JSON has no source field {self.field!r}"
        return f"its source field {self.field!r} holds no source: {metadata[self.field]!r:.80}"


@dataclass(frozen=True)
class ProbeSettings:
    """Training of the probe.

    Attributes:
        epochs: passes over the training items.
        batch_size: clips a batch.
        learning_rate: Adam's, at the start.
        positive_weight: events and notes only: what a positive frame weighs in the loss.
    """

    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    positive_weight: float = 1.0


@dataclass(frozen=True)
class KnownClips:
    """How many clips the data set has, as its publishers say.

    Attributes:
        total: in all.
        origin: where the numbers come from, for people.
        by_part: in each split or fold, where that is known; else empty.
    """

    total: int
    origin: str
    by_part: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskSpec:
    """One task. See `tasks/README.md` for every field with an example.

    Attributes:
        name: as commands take it.
        title, abbreviation, domain, description, licence, citation, url: for people and tables;
            domain is one of `DOMAINS`.
        folder: of the shards, inside the data directory.
        label: how a clip's label is read.
        probe: how the probe is trained.
        metric: one of those that fit the label's kind.
        source: how a clip's source is known.
        zenodo_record: number of the record that holds the shards.
        knn: whether nearest neighbours are scored too.
        splits: split name -> glob of its shards inside `<data>/<folder>/`; `train` and `test`
            always, `valid` where the data set has one of its own.
        folds: fold name -> glob, in place of splits.
        classes: class names; their order is the class index. Notes: MIDI numbers. Text: none.
        crop_seconds: length of the consecutive crops a clip is cut into; None keeps it whole.
        segment_seconds: events and notes only: length of the segments that are scored.
        also_in: another folder that holds the same shards, used where `folder` does not exist.
        weight: the task's weight in the weighted mean.
        known: how many clips there should be; changes no score.
        path: of its file.
        declared: digest of the declaration, where a protocol has changed it.
    """

    name: str
    title: str
    abbreviation: str
    domain: str
    description: str
    licence: str
    citation: str
    url: str
    folder: str
    label: LabelRule
    classes: tuple[str, ...]
    probe: ProbeSettings
    metric: str
    source: SourceRule
    weight: float = 1.0
    zenodo_record: str | None = None
    splits: dict[str, str] = field(default_factory=dict)
    folds: dict[str, str] = field(default_factory=dict)
    crop_seconds: float | None = None
    segment_seconds: float | None = None
    also_in: str | None = None
    knn: bool = True
    known: KnownClips | None = None
    path: str = field(default="", compare=False)
    declared: str = field(default="", compare=False)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def probes(self) -> tuple[str, ...]:
        """What measures the task."""
        return ("linear", "knn") if self.knn else ("linear",)

    @property
    def kind(self) -> LabelKind:
        """What holds for labels of the task's kind."""
        return LABEL_KINDS[self.label.kind]

    @property
    def by_frame(self) -> bool:
        """Whether the probe sees single frames, not their mean over the clip."""
        return self.kind.by_frame

    @property
    def shard_patterns(self) -> dict[str, str]:
        """Split or fold name -> shard glob."""
        return self.folds or self.splits

    @property
    def declaration(self) -> str:
        """Digest of the task as its file declares it, whatever a protocol made of it."""
        return self.declared or self.digest()

    def digest(self) -> str:
        """SHA-256 (hex) of all that can change a score; titles and citations do not count."""
        facts = asdict(self)
        for cosmetic in (
            "path", "declared", "title", "abbreviation", "domain", "description", "licence",
            "citation", "url", "weight", "zenodo_record", "folder", "also_in", "known",
        ):  # fmt: skip
            facts.pop(cosmetic)
        if not self.label.keep_case:  # what files do not state changes no file's digest
            facts["label"].pop("keep_case")
        text = json.dumps(facts, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Event(NamedTuple):
    """Something that is heard from onset to offset, in seconds.

    Attributes:
        onset: when it begins, from the start of the clip.
        offset: when it ends; above onset.
        label: its class index.
    """

    onset: float
    offset: float
    label: int
