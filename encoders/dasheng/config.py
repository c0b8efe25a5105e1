"""Sizes of DashengTokenizer and of the Dasheng encoders, read from a checkpoint's own settings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from earmark.encoders.encoder import EncoderError

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples between mel frames: 10 ms
PATCH_FRAMES = 4  # mel frames in one token: 40 ms
FRAME_RATE = SAMPLE_RATE / (HOP * PATCH_FRAMES)  # 25 Hz
CHUNK_FRAMES = 1008  # mel frames that the transformer sees at a time: 10.08 s
CHUNK_TOKENS = CHUNK_FRAMES // PATCH_FRAMES
SEMANTIC_FFT = 512  # samples of window and FFT
SEMANTIC_BANDS = 64
ACOUSTIC_FFT = 1024
MLP_RATIO = 4
MODEL_TYPE = "dashengtokenizer"


def _check_sizes(config: object) -> None:
    for key, value in vars(config).items():
        if type(value) is not int or value < 1:
            raise EncoderError(f"{key} is {value!r}; it must be a whole number above 0")


def _check_heads(embed_dim: int, num_heads: int) -> None:
    if embed_dim % num_heads:
        raise EncoderError(f"embed_dim {embed_dim} is not divisible by num_heads {num_heads}")


@dataclass(frozen=True)
class SemanticConfig:
    """Sizes of the semantic path, which is also a Dasheng encoder.

    embed_dim: D. depth: transformer blocks. num_heads: attention heads, a divisor of D.
    """

    embed_dim: int = 1280
    depth: int = 32
    num_heads: int = 16

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_heads(self.embed_dim, self.num_heads)


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of DashengTokenizer, under the names and with the defaults of its `config.json`.

    n_mels_patch: mel bands of the acoustic path. hop_length: samples between mel frames of both
    paths. decoder_embed_dim, decoder_depth, decoder_intermediate_size: width H, blocks and inner
    width I of the decoder. istft_n_fft, istft_hop: window and hop of its output, in samples.
    upsample_tokens: decoder frames in one latent frame.
    """

    embed_dim: int = 1280
    depth: int = 32
    num_heads: int = 16
    n_mels_patch: int = 128
    hop_length: int = 160
    decoder_embed_dim: int = 1280
    decoder_depth: int = 12
    decoder_intermediate_size: int = 5120
    istft_n_fft: int = 1280
    istft_hop: int = 320
    upsample_tokens: int = 2

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_heads(self.embed_dim, self.num_heads)
        if self.hop_length != HOP:
            raise EncoderError(
                f"hop_length is {self.hop_length}; only {HOP} is known, the semantic path's hop"
            )
        if self.upsample_tokens * self.istft_hop != self.frame_samples:
            raise EncoderError(
                f"upsample_tokens x istft_hop is {self.upsample_tokens} x {self.istft_hop}; it "
                f"must be {self.frame_samples}, the samples of one latent frame"
            )
        if self.istft_n_fft < self.istft_hop or self.istft_n_fft % 2 or self.istft_hop % 2:
            raise EncoderError(
                f"istft_n_fft is {self.istft_n_fft} with istft_hop {self.istft_hop}; both must be "
                "even and the window at least as long as the hop"
            )

    @property
    def semantic(self) -> SemanticConfig:
        return SemanticConfig(self.embed_dim, self.depth, self.num_heads)

    @property
    def frame_samples(self) -> int:
        """Samples of one latent frame."""
        return self.hop_length * PATCH_FRAMES


@dataclass(frozen=True)
class DashengModel:
    """A Dasheng encoder of the family: its sizes and its file in Zenodo record 11511780."""

    config: SemanticConfig
    file: str


DASHENG_MODELS = {
    "dasheng-base": DashengModel(SemanticConfig(768, 12, 12), "dasheng_base.pt"),
    "dasheng-0.6b": DashengModel(SemanticConfig(1280, 32, 16), "dasheng_06b.pt"),
    "dasheng-1.2b": DashengModel(SemanticConfig(1536, 40, 24), "dasheng_12b.pt"),
}

# What a Dasheng file's settings may say besides the sizes, and the one value that is built here.
_DASHENG_FIXED: dict[str, Any] = {
    "patch_size": [SEMANTIC_BANDS, PATCH_FRAMES],
    "patch_stride": [SEMANTIC_BANDS, PATCH_FRAMES],
    "mlp_ratio": MLP_RATIO,
    "qkv_bias": True,
    "init_values": None,
    "norm_layer": None,
    "act_layer": None,
    "block_type": "Block",
    "attention_type": "Attention",
    "target_length": CHUNK_FRAMES,
    "n_fft": SEMANTIC_FFT,
    "win_size": SEMANTIC_FFT,
    "n_mels": SEMANTIC_BANDS,
    "hop_size": HOP,
    "f_min": 0,
    "f_max": SAMPLE_RATE // 2,
    "center": True,
    "top_db": 120,
}


def read_tokenizer_config(path: Path) -> TokenizerConfig:
    """The sizes in a checkpoint's `config.json`; what is absent has its default.

    Keys that are not sizes (`auto_map`, `torch_dtype`, ...) are not read. Raises EncoderError,
    naming the file, where it cannot be read, is of another model type, or asks for a network that
    does not exist.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise EncoderError(f"{path} must hold a JSON object, not a {type(values).__name__}")
    model_type = values.get("model_type", MODEL_TYPE)
    if model_type != MODEL_TYPE:
        raise EncoderError(f"{path}: model_type is {model_type!r}; expected {MODEL_TYPE!r}")
    return _from_values(TokenizerConfig(), values, str(path))


def dasheng_config(
    values: Mapping[str, Any], default: SemanticConfig, where: str
) -> SemanticConfig:
    """The sizes in a Dasheng file's `config`; what is absent is as in `default`.

    Raises EncoderError, naming `where`, for a setting that would need other code.
    """
    for key, fixed in _DASHENG_FIXED.items():
        value = values.get(key, fixed)
        value = list(value) if isinstance(value, tuple) else value
        if value != fixed:
            raise EncoderError(f"{where}: {key} is {value!r}; only {fixed!r} is known")
    if values.get("pooling") == "token":
        raise EncoderError(f"{where}: pooling is 'token'; only encoders without it are known")
    return _from_values(default, values, where)


def config_json(config: TokenizerConfig) -> str:
    """The text of the `config.json` that `read_tokenizer_config` reads back."""
    values = {"model_type": MODEL_TYPE} | dataclasses.asdict(config)
    return json.dumps(values, indent=2) + "\n"


Config = TypeVar("Config", SemanticConfig, TokenizerConfig)


def _from_values(default: Config, values: Mapping[str, Any], where: str) -> Config:
    """`default` with the sizes that `values` names."""
    names = [field.name for field in dataclasses.fields(default)]
    try:
        return dataclasses.replace(default, **{key: values[key] for key in names if key in values})
    except EncoderError as error:
        raise EncoderError(f"{where}: {error}") from error
