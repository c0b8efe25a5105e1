"""Any model of transformers behind its own feature extractor, clip by clip.

For what has no pass of its own in `earmark.encoders.baselines`: SEW, SeamlessM4T's speech encoder,
Speech2Text, Moonshine, Parakeet, the audio towers of language models, and others.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch

from earmark.encoders.baselines.checkpoint import UnfitError, forget_place
from earmark.encoders.baselines.layers import layer_number
from earmark.encoders.baselines.pieces import (
    PASS_SECONDS,
    PIECE_SECONDS,
    Outputs,
    cut,
    join_pieces,
)
from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.family import ALL_LAYERS, full_name
from earmark.encoders.hub import said
from earmark.encoders.shared import OutputEncoder, SharedPass

# Clips that are encoded when a model is loaded, to measure what it gives.
_SHORT_S, _LONG_S = 2, 10
# Lengths that are tried for the shortest clip, in seconds.
_LEAST_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

Features = dict[str, torch.Tensor]


class Size(NamedTuple):
    """What one output of a model is: its dimension, and its frames a second."""

    dimension: int
    frame_rate: float


class ExtractedPass(SharedPass):
    """A model that gives hidden states of what its feature extractor makes of a clip.

    Each clip goes through the extractor alone, so that nothing is padded that the extractor itself
    would not pad and what it normalises is the clip; only features of equal shape share a pass.
    Clips beyond the extractor's window, or 30 s where it has none, are cut into pieces, each on its
    own. Where every clip is padded to the window, those frames are kept that begin within the clip.

    Outputs are "" (`last_hidden_state`) and "layer-0" and up (`hidden_states`). How many there are,
    their dimensions and frame rates are measured on noise of 2 and 10 s.

    window: samples to which every clip is padded, or None.
    """

    def __init__(self, model: Any, extractor: Any, facts: dict[str, Any]) -> None:
        super().__init__()
        from transformers.utils.output_capturing import maybe_install_capturing_hooks

        # else its first use would, and change the fingerprint
        maybe_install_capturing_hooks(model)
        forget_place(model)
        self.model, self.extractor = model.eval(), extractor
        self.facts = {**facts, "piece_seconds": PIECE_SECONDS}
        self.sample_rate = int(extractor.sampling_rate)
        self.accepted = sorted(inspect.signature(model.forward).parameters)
        self.unit = self._unit()
        self.least = self._least()
        self.window = self._window()
        self.sizes = self._measured()
        self.piece = self.window or self._piece()

    @property
    def layers(self) -> int:
        """Number of the last hidden layer; -1 where it gives none."""
        return len(self.sizes) - 2

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        pieces, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            for start, stop in cut(length, self.piece):
                pieces.append(waveform[start:stop])
                owners.append(owner)
        features = [_finite(self.features(piece)) for piece in pieces]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, one in enumerate(features):
            groups.setdefault(tuple((key, one[key].shape) for key in sorted(one)), []).append(index)
        longest = self.window or max(len(piece) for piece in pieces)
        at_once = max(1, PASS_SECONDS * self.sample_rate // max(longest, 1))
        found: list[Outputs] = [{} for _ in pieces]
        for group in groups.values():
            for start, stop in cut(len(group), at_once):
                indices = group[start:stop]
                batch = {
                    key: torch.stack([features[index][key] for index in indices])
                    for key in features[indices[0]]
                }
                values = self._forward(batch, outputs)
                for row, index in enumerate(indices):
                    found[index] = {
                        output: one[row, : self._own(one.shape[1], features[index], pieces[index])]
                        for output, one in values.items()
                    }
        return join_pieces(owners, found, outputs)

    def features(self, clip: torch.Tensor) -> Features:
        """(n,) samples -> what the extractor makes of the clip alone, without a batch's axis."""
        missing = max(0, self.least - len(clip))
        audio = torch.nn.functional.pad(clip, (0, missing)).cpu().numpy()
        made = self.extractor(audio, sampling_rate=self.sample_rate, return_tensors="pt")
        return {
            key: value[0].to(clip.device)
            for key, value in made.items()
            if key in self.accepted and isinstance(value, torch.Tensor)
        }

    def _forward(self, batch: Features, outputs: Sequence[str]) -> Outputs:
        hidden = any(output for output in outputs)
        found = self.model(**batch, **({"output_hidden_states": True} if hidden else {}))
        return {
            output: found.hidden_states[layer_number(output)] if output else found.last_hidden_state
            for output in outputs
        }

    def _own(self, frames: int, features: Features, piece: torch.Tensor) -> int:
        """How many of a piece's frames are its own."""
        if self.window is not None:
            return max(1, min(frames, -(-len(piece) * frames // self.window)))
        mask = features.get("attention_mask")
        if mask is not None and len(mask) == frames:  # an extractor may fill up a last frame
            return max(1, int(mask.sum()))
        return frames

    def _unit(self) -> int:
        """Samples of which the distance of two frames is a multiple, or a whole share."""
        strides = getattr(self.model.config, "conv_stride", None)
        if strides and self.extractor.model_input_names[0] == "input_values":
            return math.prod(strides)
        hop = getattr(self.extractor, "hop_length", None)
        return int(hop) if isinstance(hop, int) else self.sample_rate // 100

    def _tried(self, seconds: float) -> tuple[Features, Any]:
        """Features of noise, and what the model makes of them, every hidden layer too."""
        drawn = torch.randn(
            max(1, round(seconds * self.sample_rate)), generator=torch.Generator().manual_seed(0)
        )
        features = self.features(0.1 * drawn)
        with torch.no_grad():
            batch = {key: value[None] for key, value in features.items()}
            return features, self.model(**batch, output_hidden_states=True)

    def _least(self) -> int:
        """The fewest samples that it takes, of a few lengths; shorter clips are filled up."""
        self.least = 0
        error: Exception | None = None
        for seconds in _LEAST_S:
            try:
                with warnings.catch_warnings():  # numpy tells of the NaN that are looked for
                    warnings.simplefilter("ignore", RuntimeWarning)
                    last = getattr(self._tried(seconds)[1], "last_hidden_state", None)
            except Exception as fault:  # noqa: BLE001 - it may raise anything for so few samples
                error = fault
                continue
            if last is None or last.ndim != 3:
                raise UnfitError(
                    f"{type(self.model).__name__} gives no frames of audio alone; wrap it in a "
                    "class of a file"
                )
            if last.shape[1] and bool(last.isfinite().all()):
                return round(seconds * self.sample_rate)
        why = "its output is not finite" if error is None else said(error)
        raise UnfitError(
            f"{type(self.model).__name__} cannot take what its own {type(self.extractor).__name__} "
            f"makes of 1 s of noise: {why}"
        )

    def _window(self) -> int | None:
        """Samples to which its extractor pads every clip; None where it does not."""
        one, two = (
            [value.shape for value in self._extracted(seconds).values()] for seconds in (1.0, 1.5)
        )
        if one != two:
            return None
        for name in ("n_samples", "nb_max_samples"):
            samples = getattr(self.extractor, name, None)
            if isinstance(samples, int):
                return samples
        raise UnfitError(
            f"its {type(self.extractor).__name__} pads every clip to a window, of a length that it "
            "does not tell; wrap it in a class of a file"
        )

    def _extracted(self, seconds: float) -> Features:
        return self.features(0.1 * torch.ones(round(seconds * self.sample_rate)))

    def _measured(self) -> dict[str, Size]:
        """Each output's dimension and frame rate."""
        (_, short), (_, long) = (self._tried(seconds) for seconds in (_SHORT_S, _LONG_S))
        outputs = {"": (short.last_hidden_state, long.last_hidden_state)}
        layers = getattr(short, "hidden_states", None) or ()
        for number, first in enumerate(layers):
            outputs[f"layer-{number}"] = (first, long.hidden_states[number])
        return {
            output: Size(int(second.shape[-1]), self._rate(first.shape[1], second.shape[1]))
            for output, (first, second) in outputs.items()
        }

    def _rate(self, short: int, long: int) -> float:
        """Frames a second, of how many there are for 2 s and for 10 s."""
        if self.window is not None:
            return long * self.sample_rate / self.window
        more, samples = long - short, (_LONG_S - _SHORT_S) * self.sample_rate
        if more < 1:
            raise UnfitError(f"it gives {short} frames for 2 s and {long} for 10 s")
        times = samples / (more * self.unit)  # units from one frame to the next
        hop = self.unit * round(times) if times >= 0.75 else self.unit / round(1 / times)
        if abs(samples / hop - more) > 1:  # at the ends one frame may be lost, or added
            hop = _smoothest(math.ceil(samples / (more + 1)), samples // max(1, more - 1))
        return self.sample_rate / hop

    def _piece(self) -> int:
        """Samples of a piece: 30 s, of whole frames of every output."""
        hop = max(round(self.sample_rate / size.frame_rate) for size in self.sizes.values())
        return max(1, PIECE_SECONDS * self.sample_rate // hop) * hop


def _finite(features: Features) -> Features:
    """Features as they are, with 0 for what is no number.

    An extractor that divides by a clip's deviation makes none of silence; 0 is the mean.
    """
    return {
        key: value.nan_to_num(0.0, 0.0, 0.0) if value.is_floating_point() else value
        for key, value in features.items()
    }


def _smoothest(least: int, most: int) -> int:
    """Of whole numbers the one whose prime factors are smallest, as those of products of strides.

    Of several alike the smallest.
    """
    return min(range(max(1, least), max(1, most) + 1), key=_largest_prime)


def _largest_prime(number: int) -> int:
    largest, factor = 1, 2
    while number > 1:
        if number % factor:
            factor += 1
        else:
            largest, number = factor, number // factor
    return largest


class ExtractedEncoder(OutputEncoder):
    """One output of an ExtractedPass."""

    libraries: ClassVar[tuple[str, ...]] = ("transformers",)

    def __init__(self, shared: ExtractedPass, family: str, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name(family, output)
        self.sample_rate = shared.sample_rate
        self.embedding_dim, self.frame_rate = shared.sizes[output]
        self.honours_lengths = shared.window is not None
        self.config = shared.facts


def extracted_encoders(
    shared: ExtractedPass, family: str, outputs: Sequence[str]
) -> list[AudioEncoder]:
    """One encoder for each output, and for each layer where all are asked for; each once."""
    wanted: list[str] = []
    for output in outputs:
        if output == ALL_LAYERS:
            wanted += [f"layer-{number}" for number in range(shared.layers + 1)]
        elif output not in shared.sizes:
            raise EncoderError(
                f"encoder {family!r} has layers 0 to {shared.layers}, no {layer_number(output)}"
            )
        else:
            wanted.append(output)
    return [ExtractedEncoder(shared, family, output) for output in dict.fromkeys(wanted)]
