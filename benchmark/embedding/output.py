"""What an encoder returned of a batch: whether it is Frames at all, and how to make it such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from earmark.encoders import AudioEncoder, Frames

_SWAPPED_SLACK = 3.0  # frames, and
_SWAPPED_SHARE = 0.1  # of them, that the wrong axis may be off what frame_rate says


class Fault(NamedTuple):
    """said: what was returned, in a few words. cure: what to do about it."""

    said: str
    cure: str


def output_fault(encoder: AudioEncoder, frames: Any, count: int, longest_s: float) -> Fault | None:
    """Why what `encode` returned of a batch cannot be used; None where it can.

    count: clips in the batch. longest_s: seconds of its longest. Numbers of frames are not looked
    at, nor whether values are finite, nor, where axes are in order, their last, the dimension.
    """
    if not isinstance(frames, Frames):
        return _not_frames(frames)
    values, lengths = frames.values, frames.lengths
    fault = _not_a_tensor(values, "values") or _not_a_tensor(lengths, "lengths")
    if fault is not None:
        return fault
    if not values.is_floating_point():
        cure = (
            "return the real numbers, its magnitudes say, as float32" if values.is_complex() else
            "return vectors as float32; of codes those that they stand for"
        )  # fmt: skip
        return Fault(f"values of type {_type(values)}", cure)
    fault = _wrong_shape(encoder, tuple(values.shape), count, longest_s)
    if fault is not None:
        return fault
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        return Fault(
            f"lengths of type {_type(lengths)}", "return whole numbers of frames: lengths.long()"
        )
    if tuple(lengths.shape) != (count,):
        return Fault(
            f"lengths of shape {tuple(lengths.shape)} for {count} clip{'s' * (count > 1)}",
            "return each clip's own number of frames, (B,)",
        )
    return None


def lengths_cure(lengths: list[int], most: int, samples: list[int]) -> str:
    """How to mend numbers of frames that cannot be: each is to be 1 to `most`.

    samples: the clips' own.
    """
    if lengths == samples and max(samples) > most:
        return "they count samples: return frames, lengths // hop"
    if any(one < 1 for one in lengths):
        return "give each clip one frame at least: lengths.clamp(min=1)"
    return f"no clip has more than values.shape[1], which is {most}: lengths.clamp(max=...)"


def output_remarks(frames: Frames, device: str) -> list[Fault]:
    """What a run puts up with, but the encoder's author had better know."""
    values, found = frames.values, []
    wanted = torch.device(device)
    if values.device.type != wanted.type or wanted.index not in (None, values.device.index):
        found.append(Fault(f"on {values.device}", "return values on waveforms.device"))
    if values.requires_grad:
        cure = "return values.detach(), or compute under torch.no_grad(): memory grows with it"
        found.append(Fault("with its graph for gradients", cure))
    return found


def _not_frames(found: Any) -> Fault:
    said = f"a {type(found).__name__}, not Frames"
    if found is None:
        return Fault("None, not Frames", "return Frames(values, lengths) at the end of encode()")
    if hasattr(found, "last_hidden_state") or (
        isinstance(found, Mapping) and "last_hidden_state" in found
    ):
        cure = "return Frames(output.last_hidden_state, lengths), lengths counted in frames"
        return Fault(said, cure)
    if isinstance(found, torch.Tensor | np.ndarray):
        cure = "return Frames(values, lengths), lengths each clip's own number of frames"
        return Fault(said, cure)
    return Fault(said, "return Frames(values, lengths): `from earmark import Frames`")


def _not_a_tensor(found: Any, what: str) -> Fault | None:
    """What is not a plain tensor with numbers in it."""
    if isinstance(found, np.ndarray):
        return Fault(f"{what} as a numpy array", f"make it a tensor: torch.from_numpy({what})")
    if not isinstance(found, torch.Tensor):
        word = "an int" if isinstance(found, int) else f"a {type(found).__name__}"
        make = "torch.stack" if what == "values" else "torch.tensor"
        shape = "(B, F, D)" if what == "values" else "(B,)"
        return Fault(f"{what} as {word}", f"make it a tensor {shape}: {make}({what})")
    if found.is_nested:
        return Fault(f"{what} as a nested tensor", "pad them: torch.nested.to_padded_tensor")
    if found.layout != torch.strided:
        return Fault(f"{what} as a sparse tensor", f"return {what}.to_dense()")
    if found.is_meta:
        cure = "load the weights onto a device" if what == "values" else "make them on the CPU"
        return Fault(f"{what} on meta, where nothing is", cure)
    return None


def _wrong_shape(
    encoder: AudioEncoder, shape: tuple[int, ...], count: int, longest_s: float
) -> Fault | None:
    """What is not (B, F, D), and the change that makes it so."""
    dimension = encoder.embedding_dim
    said = f"values of shape {shape} for {count} clip{'s' * (count > 1)}"
    if len(shape) == 2:
        if shape == (count, dimension) and encoder.frame_rate is None:
            return Fault(said, "one vector a clip is (B, 1, D): return values[:, None]")
        if count == 1 and shape[1] == dimension:
            return Fault(said, "keep the batch's axis, (B, F, D): return values[None]")
        return Fault(said, "return (B, F, D): clips, frames, dimension")
    if len(shape) != 3:
        return Fault(said, "return (B, F, D): clips, frames, dimension; flatten the others")
    if shape[0] != count and shape[1] == count:
        return Fault(said, "clips come first, (B, F, D): return values.transpose(0, 1)")
    if shape[0] != count:
        return Fault(said, "return one row for each clip, (B, F, D)")
    if shape[1] == dimension != shape[2] and _is_frames(encoder, shape[2], longest_s):
        return Fault(said, "frames come before the dimension: return values.transpose(1, 2)")
    return None


def _is_frames(encoder: AudioEncoder, number: int, longest_s: float) -> bool:
    """Whether an axis of so many is that of frames, by what the encoder claims."""
    if encoder.frame_rate is None:
        return number == 1
    expected = longest_s * encoder.frame_rate
    return encoder.frame_rate_varies or (
        abs(number - expected) <= _SWAPPED_SLACK + _SWAPPED_SHARE * expected
    )


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
