"""musicnn (Pons and Serra 2019, arXiv 1909.06654): convolutions trained to tag music."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from earmark.encoders.baselines.pieces import Outputs, cut, run_equal
from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.family import full_name
from earmark.encoders.inwheel.bundle import read_bundle
from earmark.encoders.inwheel.mel import SAMPLE_RATE, PowerMel, mel_constants
from earmark.encoders.inwheel.package import Packaged
from earmark.encoders.shared import OutputEncoder, SharedPass
from earmark.encoders.tensors import State, filled

MSD, MTT, PENULTIMATE = "msd", "mtt", "penultimate"
_DIGESTS = {
    MSD: ("87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
          "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6"),
    MTT: ("da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
          "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab"),
}  # fmt: skip
FILES = {
    data: Packaged(
        "musicnn", "0.1.0",
        {f"musicnn/{data.upper()}_musicnn/.index": index,
         f"musicnn/{data.upper()}_musicnn/.data-00000-of-00001": values},
    )
    for data, (index, values) in _DIGESTS.items()
}  # fmt: skip
N_FFT, HOP, BANDS = 512, 256, 96
EPSILON = 1e-3
FRONT, MIDDLE, TAGS, CLIP = 561, 64, 50, 200  # channels
WIDTH = FRONT + 3 * MIDDLE
PATCH = 187  # frames, 3 s: what it was trained on
# Frames of the front in one pass: bounds memory to some 0.1 GB.
FRAMES_AT_ONCE = 1024
PATCHES_AT_ONCE = 8


class Front(NamedTuple):
    """A convolution over the spectrogram: its reach in frames and bands, and its channels."""

    frames: int
    bands: int
    channels: int


FRONTS = (
    Front(7, 38, 204), Front(7, 67, 204), Front(128, 1, 51), Front(64, 1, 51), Front(32, 1, 51),
)  # fmt: skip
REACH = max(front.frames for front in FRONTS) - 1  # frames, of which the half comes before


class MusicnnPass(SharedPass):
    """96 mel bands every 16 ms; what the middle of the network makes of them, 753 values a frame.

    These are 561 of the front (five convolutions, each the maximum over frequency) and three times
    64 of the middle, one after the other. Any output but "penultimate" is that, over the whole
    clip, 1 + n // 256 frames for n samples. "penultimate" is one vector of 200 a clip, from which
    tags are told: the mean over its patches of 3 s, each on its own; the last is left out where
    incomplete, and a shorter clip is one patch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mel = PowerMel(N_FFT, HOP, BANDS)
        self.norm = torch.nn.BatchNorm1d(1, EPSILON)
        self.fronts = torch.nn.ModuleList(
            torch.nn.Conv2d(1, front.channels, (front.frames, front.bands)) for front in FRONTS
        )
        self.front_norms = _norms([front.channels for front in FRONTS])
        self.middles = torch.nn.ModuleList(
            torch.nn.Conv1d(into, MIDDLE, 7, padding=3) for into in (FRONT, MIDDLE, MIDDLE)
        )
        self.middle_norms = _norms([MIDDLE] * 3)
        self.pool_norm = torch.nn.BatchNorm1d(2 * WIDTH, EPSILON)
        self.dense = torch.nn.Linear(2 * WIDTH, CLIP)
        self.dense_norm = torch.nn.BatchNorm1d(CLIP, EPSILON)
        self.tags = torch.nn.Linear(CLIP, TAGS)

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        counts = lengths // HOP + 1
        mels = self.log_mel(waveforms, lengths)
        found = {}
        if set(outputs) - {PENULTIMATE}:
            frames = Frames(self.features(mels, counts).transpose(1, 2), counts)
            found = dict.fromkeys(set(outputs) - {PENULTIMATE}, frames)
        if PENULTIMATE in outputs:
            clips = [mel[:count] for mel, count in zip(mels, counts.tolist(), strict=True)]
            vectors = torch.stack([one.mean(0) for one in self._by_patch(clips, PENULTIMATE)])
            found[PENULTIMATE] = Frames(vectors[:, None], torch.ones_like(counts))
        return found

    def tag_probabilities(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, T), (B,) as of `encode` -> (B, 50), each tag's probability: the mean over patches."""
        mels = self.log_mel(waveforms, lengths)
        counts = (lengths // HOP + 1).tolist()
        clips = [mel[:count] for mel, count in zip(mels, counts, strict=True)]
        return torch.stack([one.mean(0) for one in self._by_patch(clips, "tags")])

    def log_mel(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, T) -> (B, 1 + T // 256, 96), of which those of a clip's own samples are valid."""
        mels: torch.Tensor = self.mel(waveforms, lengths, int(lengths.max()) // HOP + 1)
        # the spectrograms that it was trained on were kept in 16 bits
        return (10_000 * mels.half().float() + 1).log10()

    def features(self, mels: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(B, F, 96), (B,) each clip's own frames -> (B, 753, F); padding counts as zero."""
        own = (torch.arange(mels.shape[1], device=mels.device) < counts[:, None])[:, None]
        flat = self.norm(mels.reshape(len(mels), 1, -1)).reshape(mels.shape)
        found = [self._front(flat * own.transpose(1, 2)) * own]
        total: torch.Tensor | None = None
        for conv, norm in zip(self.middles, self.middle_norms, strict=True):
            step = norm(conv((found[0] if total is None else total) * own).relu())
            total = step if total is None else total + step
            found.append(total)
        return torch.cat(found, dim=1)

    def _front(self, values: torch.Tensor) -> torch.Tensor:
        """(B, F, 96) -> (B, 561, F): in parts of so many frames, which changes nothing."""
        before = REACH // 2
        padded = torch.nn.functional.pad(values, (0, 0, before, REACH - before))[:, None]
        parts = []
        for start, stop in cut(values.shape[1], max(1, FRAMES_AT_ONCE // len(values))):
            rows = []
            for front, conv, norm in zip(FRONTS, self.fronts, self.front_norms, strict=True):
                first = start + before - (front.frames - 1) // 2
                seen = conv(padded[:, :, first : first + stop - start + front.frames - 1])
                # the maximum over frequency comes after the norm, which may turn the order round
                rises = torch.as_tensor(norm.weight)[:, None] >= 0
                rows.append(norm(torch.where(rises, seen.amax(3), seen.amin(3)).relu()))
            parts.append(torch.cat(rows, dim=1))
        return torch.cat(parts, dim=2)

    def _by_patch(self, clips: Sequence[torch.Tensor], output: str) -> list[torch.Tensor]:
        """Of each clip (F, 96) one row a patch of 187 frames."""
        patches, counts = [], []
        for clip in clips:
            whole = [clip[a:b] for a, b in cut(len(clip), PATCH) if b - a == PATCH] or [clip]
            patches += whole
            counts.append(len(whole))
        found = run_equal(patches, PATCHES_AT_ONCE, self._judged)
        return list(torch.stack([one[output] for one in found]).split(counts))

    def _judged(self, patches: torch.Tensor) -> Outputs:
        """(B, F, 96) -> (B, 200) and (B, 50)."""
        counts = torch.full((len(patches),), patches.shape[1], device=patches.device)
        values = self.features(patches, counts)
        # maximum and mean of a channel stand side by side
        pooled = torch.stack([values.amax(2), values.mean(2)], dim=2).flatten(1)
        vectors = self.dense_norm(self.dense(self.pool_norm(pooled)).relu())
        return {PENULTIMATE: vectors, "tags": self.tags(vectors).sigmoid()}


def _norms(channels: Sequence[int]) -> torch.nn.ModuleList:
    return torch.nn.ModuleList(torch.nn.BatchNorm1d(count, EPSILON) for count in channels)


class MusicnnEncoder(OutputEncoder):
    """One output of a MusicnnPass."""

    honours_lengths = True

    def __init__(self, shared: MusicnnPass, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name("musicnn", output)
        self.sample_rate = SAMPLE_RATE
        self.frame_rate = None if output == PENULTIMATE else SAMPLE_RATE / HOP
        self.embedding_dim = CLIP if output == PENULTIMATE else WIDTH


def load(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """musicnn of the installed package, or of a folder with its files.

    `mtt` was trained on MagnaTagATune, all other outputs on the Million Song Dataset. Raises
    EncoderError where a file is missing or another.
    """
    passes: dict[str, MusicnnPass] = {}
    made: list[AudioEncoder] = []
    for output in dict.fromkeys(outputs):
        data = MTT if output == MTT else MSD
        if data not in passes:
            passes[data] = load_pass(data, weights)
        made.append(MusicnnEncoder(passes[data], output))
    return made


def load_pass(data: str, weights: Path | None = None) -> MusicnnPass:
    """The network trained on `msd` or `mtt`. Raises EncoderError."""
    index, values = FILES[data].located("musicnn", weights)
    try:
        variables = read_bundle(index.read_bytes(), values.read_bytes())
    except ValueError as error:
        raise EncoderError(f"encoder 'musicnn': {index} cannot be read: {error}") from error
    constants = {f"mel.{key}": value for key, value in mel_constants(N_FFT, BANDS).items()}
    return filled(MusicnnPass, own_state(variables) | constants, str(values))


_NORM_PARTS = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip
# TensorFlow numbers its layers in the order in which they were made.
_NORMS = (
    "norm", *(f"front_norms.{i}" for i in range(5)), *(f"middle_norms.{i}" for i in range(3)),
    "pool_norm", "dense_norm",
)  # fmt: skip
_CONVS = (*(f"fronts.{i}" for i in range(5)), *(f"middles.{i}" for i in range(3)))
_DENSES = ("dense", "tags")


def own_state(variables: State) -> State:
    """TensorFlow's variables as the network's tensors."""
    found: State = {}
    for norm, layer in _numbered("batch_normalization", _NORMS):
        for theirs, ours in _NORM_PARTS.items():
            if f"{layer}/{theirs}" in variables:
                found[f"{norm}.{ours}"] = variables[f"{layer}/{theirs}"]
        found[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    for conv, layer in _numbered("conv2d", _CONVS):
        if f"{layer}/kernel" in variables:
            kernel = variables[f"{layer}/kernel"].permute(3, 2, 0, 1)  # out, in, frames, bands
            if conv.startswith("middles"):  # its bands are all of the channels before
                kernel = kernel[:, 0].transpose(1, 2)
            found[f"{conv}.weight"] = kernel.contiguous()
        if f"{layer}/bias" in variables:
            found[f"{conv}.bias"] = variables[f"{layer}/bias"]
    for dense, layer in _numbered("dense", _DENSES):
        if f"{layer}/kernel" in variables:
            found[f"{dense}.weight"] = variables[f"{layer}/kernel"].T.contiguous()
        if f"{layer}/bias" in variables:
            found[f"{dense}.bias"] = variables[f"{layer}/bias"]
    return found


def _numbered(kind: str, ours: Sequence[str]) -> list[tuple[str, str]]:
    """Our name of each layer of a kind, with TensorFlow's: `dense`, `dense_1`."""
    return [(name, kind if i == 0 else f"{kind}_{i}") for i, name in enumerate(ours)]
