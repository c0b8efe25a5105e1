"""What a training run is: its sizes, losses and schedule, read from a YAML file."""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

import yaml

from earmark.encoders.dasheng.config import (
    CHUNK_TOKENS,
    FRAME_RATE,
    SAMPLE_RATE,
    SemanticConfig,
    TokenizerConfig,
)
from earmark.encoders.dasheng.tokenizer import ACOUSTIC, SEMANTIC
from earmark.encoders.encoder import EncoderError

UNIFIED_NAME = "unified"
LATENTS = (UNIFIED_NAME, SEMANTIC, ACOUSTIC)
FP16, FP32 = "fp16", "fp32"
# Of a GPU's matrix products; auto: bf16 where it computes in that. A CPU computes in float32.
PRECISIONS = ("auto", "bf16", "fp32")


class TrainingError(EncoderError):
    """A training that cannot be: says what, where and how to mend it."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (arXiv 1711.05101) under a linear warm-up and a cosine to `final` x rate.

    rate: the peak. warmup: steps. clip: largest 2-norm of all gradients together; 0: not clipped.
    """

    rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    warmup: int = 100
    final: float = 0.0
    clip: float = 1.0

    def __post_init__(self) -> None:
        _above_zero(self, "rate")
        _not_below_zero(self, "weight_decay", "warmup", "clip", "final")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise TrainingError(f"betas are {list(self.betas)}; both must be from 0 to below 1")


@dataclass(frozen=True)
class MelLossConfig:
    """Multi-scale mel L1; defaults as in arXiv 2306.06546, section 3.4 (there: weight 15)."""

    weight: float = 15.0
    windows: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048)  # samples; hop a quarter
    bands: tuple[int, ...] = (5, 10, 20, 40, 80, 160, 320)
    floor: float = 1e-5
    """Of the magnitude, below which its logarithm is not told apart."""

    def __post_init__(self) -> None:
        _not_below_zero(self, "weight")
        _above_zero(self, "floor")
        if len(self.windows) != len(self.bands) or not self.windows:
            raise TrainingError("windows and bands must be as many, and one at least")
        for window, bands in zip(self.windows, self.bands, strict=True):
            if window < 16 or window % 4 or bands < 1:
                raise TrainingError(
                    f"window {window} with {bands} bands: a window must be a multiple of 4 from "
                    "16 on, with one band at least"
                )


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Multi-frequency discriminator: one network for each STFT, cut into bands.

    windows: of the STFTs, in samples; hop a quarter. bands: edges as shares of half the sample
    rate. channels: of its convolutions. rate: its peak learning rate; the schedule is the
    generator's.
    """

    windows: tuple[int, ...] = (2048, 1024, 512)
    bands: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    channels: int = 32
    rate: float = 5e-4

    def __post_init__(self) -> None:
        _above_zero(self, "channels", "rate")
        edges = self.bands
        rising = all(low < high for low, high in itertools.pairwise(edges))
        if len(edges) < 2 or edges[0] != 0 or edges[-1] != 1 or not rising:
            raise TrainingError(f"bands are {list(edges)}; they must rise from 0 to 1")
        if not self.windows or any(window < 64 or window % 4 for window in self.windows):
            raise TrainingError(
                f"windows are {list(self.windows)}; each must be a multiple of 4 from 64 on"
            )
        for window in self.windows:
            if any(low == high for low, high in itertools.pairwise(self.edges(window))):
                raise TrainingError(
                    f"bands are {list(edges)}; with a window of {window} samples one of them holds "
                    "no frequency"
                )

    def edges(self, window: int) -> list[int]:
        """The bins of a window's STFT at which bands begin, and the number of bins."""
        bins = window // 2 + 1
        return [round(edge * bins) for edge in self.bands]


@dataclass(frozen=True)
class LossesConfig:
    """What is added up, each by its weight; a weight of 0 leaves it out.

    semantic: squared L2 between acoustic and semantic latent, mean over frames and dimensions.
    adversarial: hinge. feature_matching: L1 between the discriminator's layers. adversarial_from:
    share of the steps after which both of these begin.
    """

    mel: MelLossConfig = field(default_factory=MelLossConfig)
    semantic: float = 1.0
    adversarial: float = 1.0
    feature_matching: float = 2.0
    adversarial_from: float = 0.0

    def __post_init__(self) -> None:
        _not_below_zero(self, "semantic", "adversarial", "feature_matching")
        if not 0 <= self.adversarial_from <= 1:
            raise TrainingError(f"adversarial_from is {self.adversarial_from}; from 0 to 1")

    @property
    def adversary(self) -> bool:
        """Whether there is a discriminator at all."""
        return (self.adversarial > 0 or self.feature_matching > 0) and self.adversarial_from < 1


@dataclass(frozen=True)
class DecoderConfig:
    """The trained part's sizes, under the names of the checkpoint's `config.json`."""

    n_mels_patch: int = 128
    decoder_embed_dim: int = 1280
    decoder_depth: int = 12
    decoder_intermediate_size: int = 5120
    istft_n_fft: int = 1280
    istft_hop: int = 320
    upsample_tokens: int = 2

    def __post_init__(self) -> None:
        self.with_semantic(SemanticConfig())  # these sizes go with any semantic encoder or none

    def with_semantic(self, semantic: SemanticConfig) -> TokenizerConfig:
        """The whole network's sizes. Raises EncoderError where they do not go together."""
        return TokenizerConfig(**dataclasses.asdict(semantic), **dataclasses.asdict(self))


@dataclass(frozen=True)
class MaskedConfig:
    """Masked autoencoding (arXiv 2406.06992, 2111.06377).

    share: of the patches that are masked. embed_dim, depth, num_heads: of the small transformer
    that predicts them.
    """

    share: float = 0.75
    embed_dim: int = 512
    depth: int = 8
    num_heads: int = 16

    def __post_init__(self) -> None:
        _above_zero(self, "embed_dim", "depth", "num_heads")
        if not 0 < self.share < 1:
            raise TrainingError(f"share is {self.share}; it must lie between 0 and 1")
        if self.embed_dim % self.num_heads:
            raise TrainingError(
                f"embed_dim {self.embed_dim} is not divisible by num_heads {self.num_heads}"
            )


@dataclass(frozen=True)
class Training:
    """What both stages have.

    steps: of the optimiser. batch: crops in one step, over all processes. crop_seconds: length of
    each, a multiple of 0.04 s, within one chunk of 10.08 s. shares: how often audio of each data
    set is drawn, by its name; empty: by its hours. checkpoint_every: steps between two states that
    a killed training goes on from. export: number format of the finished tokenizer; a Dasheng file
    is always in float32.
    """

    steps: int
    batch: int
    crop_seconds: float
    seed: int = 0
    precision: str = "auto"
    export: str = FP32
    checkpoint_every: int = 1000
    shares: dict[str, float] = field(default_factory=dict)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        _above_zero(self, "steps", "batch", "checkpoint_every", "crop_seconds")
        _not_below_zero(self, "seed")
        tokens = self.crop_seconds * FRAME_RATE
        if abs(tokens - round(tokens)) > 1e-6 or not 1 <= round(tokens) <= CHUNK_TOKENS:
            raise TrainingError(
                f"crop_seconds is {self.crop_seconds}; it must be a multiple of "
                f"{1 / FRAME_RATE:g} up to {CHUNK_TOKENS / FRAME_RATE:g}"
            )
        if self.precision not in PRECISIONS:
            raise TrainingError(f"precision is {self.precision!r}; one of {', '.join(PRECISIONS)}")
        if self.export not in (FP16, FP32):
            raise TrainingError(f"export is {self.export!r}; {FP16} or {FP32}")
        for name, share in self.shares.items():
            if not 0 < share < float("inf"):
                raise TrainingError(f"shares: {name} is {share}; it must be above 0")

    @property
    def crop_tokens(self) -> int:
        return round(self.crop_seconds * FRAME_RATE)

    @property
    def crop_samples(self) -> int:
        return round(self.crop_seconds * SAMPLE_RATE)


@dataclass(frozen=True)
class SemanticTraining(Training):
    """Stage 1: the semantic encoder by masked autoencoding."""

    model: SemanticConfig = field(default_factory=SemanticConfig)
    masked: MaskedConfig = field(default_factory=MaskedConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kept_tokens == self.crop_tokens:
            raise TrainingError(
                f"masked.share is {self.masked.share}; of a crop's patches, here "
                f"{self.crop_tokens}, it must mask one at least"
            )

    @property
    def kept_tokens(self) -> int:
        """Patches of a crop that the encoder sees."""
        return max(1, round(self.crop_tokens * (1 - self.masked.share)))


@dataclass(frozen=True)
class InjectionTraining(Training):
    """Stage 2: acoustic projection, upsampler and decoder on a frozen semantic encoder.

    semantic: its checkpoint, as `--semantic` takes it; relative to the config's folder. latent:
    what is decoded: `unified` (the sum), `semantic` or `acoustic` alone. crops_per_context: crops
    taken from one chunk of audio that the semantic encoder has seen.
    """

    semantic: str = ""
    latent: str = UNIFIED_NAME
    crops_per_context: int = 1
    model: DecoderConfig = field(default_factory=DecoderConfig)
    losses: LossesConfig = field(default_factory=LossesConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        _above_zero(self, "crops_per_context")
        if self.latent not in LATENTS:
            raise TrainingError(f"latent is {self.latent!r}; one of {', '.join(LATENTS)}")
        if self.batch % self.crops_per_context:
            raise TrainingError(
                f"batch {self.batch} is not a multiple of crops_per_context "
                f"{self.crops_per_context}"
            )
        losses = self.losses
        if losses.mel.weight == 0 and not (losses.adversary and losses.adversarial_from == 0):
            raise TrainingError(
                "losses: without mel, and adversarial or feature_matching from 0 on, nothing "
                "trains the decoder"
            )
        windows = losses.mel.windows if losses.mel.weight > 0 else ()
        windows += self.discriminator.windows if losses.adversary else ()
        if self.crop_samples <= max(windows) // 2:
            raise TrainingError(
                f"crop_seconds is {self.crop_seconds}; a crop must be longer than half of the "
                f"losses' longest window, {max(windows)} samples"
            )


STAGES: dict[str, type[SemanticTraining] | type[InjectionTraining]] = {
    "semantic": SemanticTraining,
    "injection": InjectionTraining,
}


def read_training(path: Path) -> SemanticTraining | InjectionTraining:
    """A training's YAML file: `stage: semantic` or `injection`, and that class's fields.

    Raises TrainingError, naming the file and the key, for what cannot be read, is not known or
    cannot be.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise TrainingError(f"{path} cannot be read: {said}") from error
    name = values.pop("stage", None) if isinstance(values, dict) else None
    if not isinstance(name, str) or name not in STAGES:
        raise TrainingError(f"{path}: give `stage: {'` or `stage: '.join(STAGES)}`")
    stage = STAGES[name]
    try:
        found: SemanticTraining | InjectionTraining = _build(stage, values, "")
    except EncoderError as error:
        raise TrainingError(f"{path}: {error}") from error
    return found


def _build(kind: type[Any], values: Any, where: str) -> Any:
    """A dataclass from a mapping; every key known, every value of its field's type."""
    if not isinstance(values, Mapping):
        raise TrainingError(f"{where.rstrip('.')} must hold keys and values")
    hints = typing.get_type_hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind) if one.init}
    unknown = [str(key) for key in values if key not in fields]
    if unknown:
        raise TrainingError(
            f"unknown key {where}{unknown[0]}; known are {', '.join(sorted(fields))}"
        )
    missing = [
        name
        for name, one in fields.items()
        if name not in values
        and one.default is dataclasses.MISSING
        and one.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise TrainingError(f"{where}{missing[0]} is missing")
    built = {name: _value(hints[name], value, where + name) for name, value in values.items()}
    try:
        return kind(**built)
    except EncoderError as error:
        raise TrainingError(f"{where}{error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast(type[Any], kind), value, f"{where}.")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    assert not isinstance(kind, UnionType)
    if origin is tuple and isinstance(value, list):
        inner = arguments[0]
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise TrainingError(f"{where} must have {len(arguments)} values")
        return tuple(_value(inner, one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {
            str(name): _value(arguments[1], one, f"{where}.{name}") for name, one in value.items()
        }
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (int, str) and type(value) is kind:
        return value
    wanted = {int: "a whole number", float: "a number", str: "a text"}.get(
        kind, "a list or mapping"
    )
    hint = " (YAML reads 1e-4 as a text: write 1.0e-4)" if kind is float else ""
    raise TrainingError(f"{where} is {value!r}; it must be {wanted}{hint}")


def _above_zero(config: object, *names: str) -> None:
    for name in names:
        if not 0 < getattr(config, name) < float("inf"):
            raise TrainingError(f"{name} is {getattr(config, name)}; it must be above 0")


def _not_below_zero(config: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) < float("inf"):
            raise TrainingError(f"{name} is {getattr(config, name)}; it must not be below 0")
