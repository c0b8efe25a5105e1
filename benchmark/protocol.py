"""Protocols: the named choices between audio and score.

Results of different protocols are never averaged or ranked together. `strict` is correct, free of
leaks, and independent of batch size and file order. `xares-0.1.3` is what published numbers were
made with (the package of that name, arXiv 2505.16369), faults included. Every fault is a field, so
`dataclasses.replace(STRICT, knn_normalisation="columns")` shows what one of them costs alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from earmark.benchmark.bounds import check_count, check_fraction, check_positive, check_positive_int
from earmark.benchmark.io.nearest import nearest
from earmark.tasks import SourceRule, TaskSpec

MEANS = ("domains", "all", "weighted")
_NAMES = ("strict", "xares-0.1.3")
REVISIONS = {"strict": 2}  # of each protocol, the one that is computed now; of others 1
# `strict` as its first revision was, by which results of that time are read
_STRICT_1: dict[str, Any] = {
    "validation_share": 0.1, "learning_rate_floor": 0.1, "knn_neighbours": 10,
    "knn_temperature": 0.07, "bootstrap_resamples": 1000, "confidence": 0.95,
    "failed_share": 0.01, "padding": "masked", "encode_batch": 16, "encode_batch_of": [],
    "crops": "all", "validation": "held out", "swapped_splits": [], "sources": "rule",
    "knn_normalisation": "items", "fold_score": "items", "absent_classes": "left out",
    "frame_targets": "centre", "caption_training": "unit length", "caption_tokens": "words",
    "transcripts": "ctc", "language_model": "Qwen/Qwen2.5-0.5B", "resampler": "soxr",
    "means": ["domains", "all", "weighted"],
}  # fmt: skip


class ProtocolError(ValueError):
    """A protocol that is not known. One line: what, and which there are."""


@dataclass(frozen=True)
class Protocol:
    """One protocol: every choice between audio and score.

    Args:
        name: What results and tables call it.
        revision: How often what its name stands for has changed, from 1; 0 becomes the present one.
            Of a name that is known here no other can be computed. Results without the field are of
            1.
        padding: `masked`: batches by length, an encoder gets true lengths, frames beyond a clip's
            end reach nothing. `averaged`: clips in the order of their file, so many as
            `encode_batch`, are zero-padded to the longest (one shorter than a crop to the crop) and
            encoded without lengths; the frames of the padding are stored, averaged, trained on and
            tested.
        encode_batch: Crops in such a batch.
        encode_batch_of: (task, crops) where it is another.
        crops: `all`, or `first in batch`: of a clip's crops in one such batch only the first is
            kept.
        validation: `held out`: `validation_share` of the training items where the data set has no
            validation split of its own, the same for every seed: whole sources where the test part
            has sources of its own, whole clips where most of it is of sources that are trained on.
            `test`: the test split or fold itself.
        swapped_splits: Tasks whose validation split and test split change places.
        sources: What intervals resample and splits keep together: what the task's `rule` says, or
            the `clip`.
        seeds: How often a probe that is trained by steps is, with seeds 0, 1, ...; logistic
            regression has one answer.
        learning_rate_floor: What the cosine over the epochs goes towards, as a share of the rate.
        linear_probe: Of clips with classes: `logistic regression`, converged, its strength chosen
            on the validation part (`probe/linear.py`); or layer normalisation and a linear layer,
            trained by `adam` for the task's epochs, the best of which on the validation part is
            tested.
        tested: What is judged, on the validation and test parts: `clips`, by the mean of their
            crops' log-probabilities (several labels: logits; kNN: votes); or `crops`, each by
            itself.
        knn_centre: What cosines are about: the `training mean`, or the `origin`.
        knn_neighbours: K.
        knn_temperature: Of the neighbours' softmax weights.
        knn_normalisation: To unit length: `items`, or `columns`: test items, and every feature of
            the training matrix over all training items.
        fold_score: The score is that of all folds' test `items` together, or the mean over `folds`.
        absent_classes: Classes without a positive item in the reference are `left out` of macro
            means, or count as `zero`.
        frame_targets: `centre`: a frame is positive where its centre is inside the event, segments
            are cut in seconds. `ceil`: frames ceil(onset / hop) up to ceil(offset / hop) are
            positive, segments are ceil(segment / hop) frames and what is left over is dropped.
        frame_features: What heads on frames see, and the clip side of the captions' towers:
            `standardised` by the training frames (clips), with a plain linear head; or a head has
            its own `layer norm`.
        learning_rates: Of heads on frames and of towers: each seed has one for each rate, and that
            with the best validation metric is tested, see `probe/search.py`; none: the task's own.
        least_updates: Of these, however small the data, by more epochs than the task's own.
        checkpoints: How often these are judged on the validation part, at even distances; 0 and
            where there are fewer epochs: after each.
        patience: The share of all its updates after which a seed ends where its validation metric
            has not become better; 0: none does.
        tower_width: Of the captions' towers. Such with a `layer norm` take the task's rate and
            epochs.
        caption_training: `unit length`: both sides are normalised and captions of the same clip are
            not negatives of each other. `dot product`: neither, and mean|e| / sqrt(sum e^2) of both
            sides is added to the loss.
        caption_tokens: `words` of the training captions; or `bert`: BERT's, with the tokens that
            begin and end a text.
        transcripts: By a linear `ctc` probe, or by a frozen `language model` behind a trained
            adapter.
        language_model: Its name on the Hugging Face hub, or a folder.
        resampler: `soxr` or `torchaudio` (windowed sinc, width 6).
        means: Which means over tasks are shown: `domains`, `all`, `weighted`.
        interval: Over sources, by the `jackknife` and Student's distribution, from six sources on
            (`uncertainty/jackknife.py`); or by `percentiles` of a bootstrap, which for few sources
            are too narrow.
        bootstrap_resamples: Of percentiles.
        confidence: Of the interval, 0 to 1.
        failed_share: A task has failed where more than this share of its clips failed.

    Raises:
        ValueError: In one line, for a value that cannot be.

    Example:
        >>> import dataclasses
        >>> dataclasses.replace(STRICT, knn_normalisation="columns").label
        'strict (knn_normalisation="columns")'
    """

    name: str
    validation_share: float = 0.1
    seeds: int = 5
    learning_rate_floor: float = 0.1
    knn_neighbours: int = 10
    knn_temperature: float = 0.07
    bootstrap_resamples: int = 1000
    confidence: float = 0.95
    failed_share: float = 0.01
    padding: Literal["masked", "averaged"] = "masked"
    encode_batch: int = 16
    encode_batch_of: tuple[tuple[str, int], ...] = ()
    crops: Literal["all", "first in batch"] = "all"
    validation: Literal["held out", "test"] = "held out"
    swapped_splits: tuple[str, ...] = ()
    sources: Literal["rule", "clip"] = "rule"
    linear_probe: Literal["logistic regression", "adam"] = "logistic regression"
    tested: Literal["clips", "crops"] = "clips"
    knn_centre: Literal["training mean", "origin"] = "training mean"
    knn_normalisation: Literal["items", "columns"] = "items"
    fold_score: Literal["items", "folds"] = "items"
    absent_classes: Literal["left out", "zero"] = "left out"
    frame_targets: Literal["centre", "ceil"] = "centre"
    frame_features: Literal["standardised", "layer norm"] = "standardised"
    learning_rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
    least_updates: int = 3000
    checkpoints: int = 40
    patience: float = 0.25
    tower_width: int = 128
    caption_training: Literal["unit length", "dot product"] = "unit length"
    caption_tokens: Literal["words", "bert"] = "words"
    transcripts: Literal["ctc", "language model"] = "ctc"
    language_model: str = "Qwen/Qwen2.5-0.5B"
    resampler: Literal["soxr", "torchaudio"] = "soxr"
    interval: Literal["jackknife", "percentiles"] = "jackknife"
    means: tuple[str, ...] = MEANS
    revision: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(
                f"a protocol's name may hold letters, digits, '.', '_' and '-', not {self.name!r}"
            )
        present = REVISIONS.get(self.name, 1)
        if self.revision == 0:
            object.__setattr__(self, "revision", present)
        if self.name in _NAMES and self.revision != present:
            raise ValueError(
                f"revision {self.revision} of protocol {self.name!r} cannot be computed here, only "
                f"{present}"
            )
        for name in (
            "seeds", "knn_neighbours", "bootstrap_resamples", "encode_batch", "revision",
            "tower_width",
        ):  # fmt: skip
            check_positive_int(name, getattr(self, name))
        for name in ("least_updates", "checkpoints"):
            check_count(name, getattr(self, name))
        for name in (
            "validation_share", "learning_rate_floor", "confidence", "failed_share", "patience",
        ):  # fmt: skip
            check_fraction(name, getattr(self, name))
        check_positive("knn_temperature", self.knn_temperature)
        for rate in self.learning_rates:
            check_positive("a rate of learning_rates", rate)
        if list(self.learning_rates) != sorted(set(self.learning_rates)):
            raise ValueError(f"learning_rates must go up, each once, not {self.learning_rates!r}")
        for name, values in CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} must be {' or '.join(map(repr, values))}, not {getattr(self, name)!r}"
                )
        for task, size in self.encode_batch_of:
            check_positive_int(f"encode_batch_of {task}", size)
        if not self.means or not set(self.means) <= set(MEANS):
            raise ValueError(f"means must be some of {', '.join(MEANS)}, not {self.means!r}")
        if self.crops != "all" and self.padding != "averaged":
            raise ValueError(
                "crops can be 'first in batch' only where padding is 'averaged': other batches "
                "do not follow the order of the file"
            )

    @property
    def label(self) -> str:
        """The name, and what differs from the protocol of that name."""
        return protocol_label(self.facts())

    def facts(self) -> dict[str, Any]:
        """Every field, as files hold them: lists where there are tuples."""
        facts: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return facts

    def batch_of(self, task: str) -> int:
        """Crops in one batch of a task's encoding, where these follow the order of the file."""
        return dict(self.encode_batch_of).get(task, self.encode_batch)

    def for_task(self, spec: TaskSpec) -> Protocol:
        """This protocol where a task is concerned: another language model alters no task but that
        which it spells."""
        if spec.label.kind == "transcript":
            return self
        return replace(self, language_model=standard_of(self).language_model)

    def apply_to(self, spec: TaskSpec) -> TaskSpec:
        """A task as this protocol takes it: which split is which, what a source is, its title.

        A task that a protocol has changed already comes back as it is.
        """
        if spec.declared:
            return spec
        splits = dict(spec.splits)
        if spec.name in self.swapped_splits and "valid" in splits:
            splits["valid"], splits["test"] = splits["test"], splits["valid"]
        source = SourceRule(unit="clip") if self.sources == "clip" else spec.source
        label, title, abbreviation = spec.label, spec.title, spec.abbreviation
        if label.kind == "transcript" and self.transcripts == "language model":
            # it spells as the data set does; and is not to be taken for the score of the CTC probe
            label = replace(label, keep_case=True)
            title, abbreviation = title.removesuffix(" (CTC)"), abbreviation.removesuffix("-CTC")
        taken = replace(
            spec, splits=splits, source=source, label=label, title=title,
            abbreviation=abbreviation,
        )  # fmt: skip
        if taken.digest() == spec.digest():
            return taken
        return replace(taken, declared=spec.digest())


# field -> its values, that of `strict` first
CHOICES: dict[str, tuple[str, ...]] = {
    name: get_args(hint)
    for name, hint in get_type_hints(Protocol).items()
    if get_origin(hint) is Literal
}
STRICT = Protocol("strict")
XARES = Protocol(
    "xares-0.1.3",
    seeds=1,
    padding="averaged",
    encode_batch_of=(("fsc", 1), ("maestro", 1), ("vocal_imitation", 1)),
    crops="first in batch",
    validation="test",
    swapped_splits=("clotho",),
    sources="clip",
    linear_probe="adam",
    tested="crops",
    knn_centre="origin",
    knn_normalisation="columns",
    fold_score="folds",
    absent_classes="zero",
    frame_targets="ceil",
    frame_features="layer norm",
    learning_rates=(),
    least_updates=0,
    checkpoints=0,
    patience=0.0,
    tower_width=1024,
    caption_training="dot product",
    caption_tokens="bert",
    transcripts="language model",
    resampler="torchaudio",
    interval="percentiles",
    means=("weighted",),
)
PROTOCOLS = {protocol.name: protocol for protocol in (STRICT, XARES)}


def protocol_named(name: str) -> Protocol:
    """The protocol of a name. Raises ProtocolError."""
    if name not in PROTOCOLS:
        hint = nearest(name, PROTOCOLS, f"there are {', '.join(PROTOCOLS)}", cutoff=0.4)
        raise ProtocolError(f"unknown protocol {name!r}; {hint}")
    return PROTOCOLS[name]


def choose_protocol(
    protocol: str | Protocol,
    seeds: int | None = None,
    failed_share: float | None = None,
    language_model: str | Path | None = None,
) -> Protocol:
    """A protocol, or the one of a name, with what of its fields is not None.

    Raises ProtocolError for an unknown name and ValueError for a value that cannot be.
    """
    chosen = protocol_named(protocol) if isinstance(protocol, str) else protocol
    changes = {
        "seeds": seeds,
        "failed_share": failed_share,
        "language_model": None if language_model is None else str(language_model),
    }
    given: dict[str, Any] = {name: one for name, one in changes.items() if one is not None}
    return replace(chosen, **given)


def standard_of(protocol: Protocol) -> Protocol:
    """The protocol that a protocol's name stands for; of an unknown name, `strict`."""
    return PROTOCOLS.get(protocol.name, STRICT)


def titled(spec: TaskSpec, facts: Mapping[str, Any]) -> TaskSpec:
    """A task with the title it has under a protocol, of which facts are the fields in a result."""
    known = PROTOCOLS.get(str(facts["name"]), STRICT)
    transcripts = facts.get("transcripts", known.transcripts)
    if transcripts not in CHOICES["transcripts"]:  # another version's
        return spec
    return replace(known, transcripts=transcripts).apply_to(spec)


def protocol_label(facts: Mapping[str, Any]) -> str:
    """`strict`, or `strict (failed_share=0.5)` where that is not the protocol of its name.

    facts: a protocol's fields, as results hold them. All count but the seeds, which are told
    apart by themselves. A name that is not known here is compared with the defaults, and a field
    that is not known here (another version wrote it) counts as different. Another revision than
    the present one is said, `strict (revision 1)`, and compared with what its name stood for then.
    """
    name, revision = str(facts["name"]), facts.get("revision", 1)
    present = REVISIONS.get(name, 1)
    known = PROTOCOLS.get(name, STRICT).facts()
    if (name, revision) == ("strict", 1):
        known = _STRICT_1
    altered = [
        f"{key}={_text(value)}"
        for key, value in sorted(facts.items())
        if key not in ("name", "seeds", "revision")
        and (key not in known or _text(value) != _text(known[key]))
    ]
    if _text(revision) != _text(present):
        altered.insert(0, f"revision {_text(revision)}")
    return f"{name} ({', '.join(altered)})" if altered else name


def _text(value: Any) -> str:
    """As files hold it; whole numbers alike, whether a caller wrote 1 or 1.0."""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)
