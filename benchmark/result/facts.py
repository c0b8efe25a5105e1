"""What results hold of the task, the encoder, the data and the run: the fields of their files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from earmark.benchmark.io.fields import optional, when_done


@dataclass
class ShardFact:
    """One shard that a result rests on. sha256: of its bytes."""

    name: str
    split: str
    sha256: str


@dataclass
class ClipFailure:
    """A clip, or a label of one, that could not be used, and why."""

    shard: str
    key: str
    reason: str


@dataclass
class FileFact:
    """A file that lies beside the result's. sha256: of its bytes."""

    file: str
    sha256: str


@dataclass(kw_only=True)
class TaskFacts:
    """The task, as the protocol has it.

    Attributes:
        classes: how many.
        probes: `linear`, `knn`.
        digest: of what can change a score; declared: the same of the declaration as it is.
    """

    name: str
    title: str
    abbreviation: str = ""
    domain: str
    weight: float
    metric: str
    classes: int | None = None
    probes: list[str]
    licence: str = ""
    digest: str
    declared: str | None = optional()


@dataclass
class ContentFact:
    """A file or folder that an argument names. sha256: of its content."""

    path: str
    sha256: str


@dataclass(kw_only=True)
class EncoderFacts:
    """The encoder.

    Attributes:
        spec: how it was asked for. arguments: of its class, by keyword; contents: of the files and
            folders among them.
        frame_rate: None of one vector a clip. What follows honours_lengths: as of an AudioEncoder.
        parameters: how many there are; encode_parameters: how many of them encoding reads.
        bits_per_second: of its codes, where its output is made of codes.
    """

    name: str
    spec: str = ""
    fingerprint: str
    sample_rate: int | None = optional()
    embedding_dim: int | None = optional()
    frame_rate: float | None = optional()
    honours_lengths: bool | None = optional()
    frame_rate_varies: bool | None = optional()
    scene_dim: int | None = optional()
    min_seconds: float | None = optional()
    max_seconds: float | None = optional()
    fixed_seconds: float | None = optional()
    parameters: int | None = optional()
    encode_parameters: int | None = optional()
    bits_per_second: float | None = optional()
    arguments: dict[str, Any] | None = optional()
    contents: list[ContentFact] | None = optional()


@dataclass(kw_only=True)
class ProtocolFacts:
    """The fields of a protocol that tables rest on; a result holds all that its version had."""

    name: str
    seeds: int
    revision: int = 1
    interval: str = ""
    confidence: float = 0.95
    means: list[str] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)


@dataclass(kw_only=True)
class AuditFacts:
    """What an audit of the shards counted, over all their clips whatever the limit.

    Attributes:
        audited: when, in UTC. parts: what shards are divided into, `split` or `fold`.
        in_two_splits, and the other counts: see `earmark.audit_tasks`.
    """

    audited: str
    parts: str
    clips: int
    in_two_splits: int
    twice_in_one_split: int | None = optional()
    label_conflicts: int | None = optional()
    straddling_sources: int | None = optional()
    silent: int | None = optional()
    failed_clips: int | None = optional()
    unlabelled: int | None = optional()


@dataclass(kw_only=True)
class DataFacts:
    """The data that were scored. Of a failure mostly the limit alone.

    Attributes:
        limit: at most so many clips of each split or fold; None: all.
        items: per split or fold. parts: those that trained, validated and tested, by test fold.
        classes_missing_from_training: names of tested ones. classes_present: how many have a clip.
        guessed_sources: clips that the source rule did not fit. straddling_sources: in more than
            one split or fold.
        seconds: of audio. labels: how many. label_faults: how many of them were left out; faults:
            the first 100. failed_clips, failures: likewise of clips.
        padded_clips, cut_clips: how many were shorter, and longer, than the encoder can take.
        audit: where the shards were audited.
    """

    limit: int | None = None
    items: dict[str, int] = when_done(factory=dict, needed=False)
    parts: dict[str, dict[str, int]] = when_done(factory=dict, needed=False)
    classes_missing_from_training: list[str] | None = optional()
    classes_present: int | None = optional()
    sources: int = when_done(0)
    source_unit: str = when_done("")
    guessed_sources: int = when_done(0)
    straddling_sources: int = when_done(0)
    shards: list[ShardFact] = when_done(factory=list)
    clips: int = when_done(0)
    seconds: float = when_done(0.0, needed=False)
    labels: int = when_done(0, needed=False)
    label_faults: int = when_done(0)
    faults: list[ClipFailure] = when_done(factory=list)
    failed_clips: int = when_done(0)
    failures: list[ClipFailure] = when_done(factory=list)
    padded_clips: int | None = optional()
    cut_clips: int | None = optional()
    audit: AuditFacts | None = optional()


@dataclass(kw_only=True)
class EmbeddingSpeed:
    """How fast clips were embedded, measured when it took place, whenever that was.

    Attributes:
        audio_seconds: of audio. seconds: that padding, encoding and pooling it took, together with
            the other outputs of the same pass; reading and decoding files is left out.
        device: the name of what did it.
    """

    audio_seconds: float
    seconds: float
    device: str = ""


@dataclass(kw_only=True)
class RunFacts:
    """When, where and for how long; nothing of it decides a number.

    Attributes:
        embed_seconds, encoded_audio_seconds, probe_seconds: what was spent on embedding (and how
            much audio that was) and on probes.
        started: in UTC. seconds: in all. speed: of a codec, a multiple of real time.
        embedding: how fast the clips' embeddings were made, in this run or an earlier one.
        behaviour: what the encoder made of known sounds, see `identity/`.
        traceback: of an error that nobody expected.
    """

    embed_seconds: float | None = optional()
    encoded_audio_seconds: float | None = optional()
    probe_seconds: float | None = optional()
    started: str | None = optional()
    seconds: float | None = optional()
    device: str | None = optional()
    threads: int | None = optional()
    system: str | None = optional()
    processor: str | None = optional()
    instructions: str | None = optional()
    speed: float | None = optional()
    embedding: EmbeddingSpeed | None = optional()
    behaviour: dict[str, Any] | None = optional()
    traceback: str | None = optional()


@dataclass(kw_only=True)
class CodecFacts:
    """The codec of a reconstruction.

    Attributes:
        compute: what it computes in. decoded_rate: Hz of what it decodes, where not sample_rate.
    """

    name: str
    spec: str = ""
    fingerprint: str
    sample_rate: int
    embedding_dim: int
    frame_rate: float
    values_per_second: float
    parameters: int | None = optional()
    compute: str | None = optional()
    decoded_rate: int | None = optional()


@dataclass(kw_only=True)
class ReconstructionData:
    """The clips of a reconstruction.

    Attributes:
        known_as: the name that published values use. source_unit: what intervals are drawn by.
        crop_seconds: of consecutive crops; None: whole clips.
        digest: of the clips' bytes, keys and crops; source_digest: of their sources.
        place: digest of where they lay; empty of synthetic ones.
    """

    name: str
    kind: str = ""
    known_as: str | None
    source_unit: str = ""
    crop_seconds: float | None = None
    limit: int | None
    digest: str
    place: str | None = optional()
    clips: int
    failed_clips: int
    failures: list[ClipFailure] = field(default_factory=list)
    source_digest: str | None = optional()
    items: int | None = optional()
    sources: int | None = optional()
    seconds: float | None = optional()
