"""Controls: an encoder whose weights are permuted, which shows what its architecture alone gives.

`SPEC:permuted` is the encoder SPEC with the entries of each parameter in another order: the same
layers, front end, scales and numbers, without what was learned. What a probe reaches on it is the
floor of what it reaches on SPEC. `:permuted-2`, `:permuted-3`, ... are further draws.

Random controls are old practice: `randomize_upstream` of s3prl, selectivity in Hewitt and Liang
(EMNLP 2019, arXiv 1909.03368).
"""

from __future__ import annotations

import copy
import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.home import home_of, settle
from earmark.encoders.layered import EncoderOutput
from earmark.encoders.made import made_with, note_made, rename
from earmark.encoders.outputs import has_outputs
from earmark.encoders.spec import control_name

SHUFFLED = ":shuffled-labels"  # what names of controls of labels end in


def control_of(encoder: AudioEncoder, draw: int = 1) -> AudioEncoder:
    """A copy of an encoder with permuted weights; the encoder stays as it is.

    Raises EncoderError where it has no weights to permute, or cannot be copied.
    """
    try:
        made = copy.deepcopy(encoder)
    except Exception as error:
        raise EncoderError(
            f"encoder {encoder.name!r} cannot be copied for its control: {type(error).__name__}: "
            f"{' '.join(str(error).split())}; ask for {control_name(encoder.name)!r} by name"
        ) from error
    settle(made, home_of(encoder))
    note_made(made, made_with(encoder))
    permute_weights([made], draw)
    return made


def has_parameters(encoder: AudioEncoder) -> bool:
    """Whether there is anything to permute: a floating point parameter of more than one entry."""
    return any(_is_permuted(parameter) for parameter in encoder.parameters())


def permute_weights(encoders: list[AudioEncoder], draw: int = 1) -> None:
    """Permute the entries of each floating point parameter within its tensor, in place.

    encoders: those that were loaded together; what they share is permuted once. Their names get the
    control's suffix. The order depends on the parameter's name, its size and `draw` alone, and is
    the same on every machine: of numpy the generator whose stream is frozen. Buffers stay.
    Raises EncoderError where one has no such parameter.
    """
    done: set[int] = set()
    for encoder in encoders:
        if not has_parameters(encoder):
            raise EncoderError(
                f"encoder {encoder.name!r} has no parameters to permute, so it has no control of "
                "permuted weights"
            )
        for name, parameter in encoder.named_parameters():
            if id(parameter) in done or not _is_permuted(parameter):
                continue
            if isinstance(encoder, EncoderOutput):  # the same as in the encoder itself
                name = name.removeprefix("shared.")
            done.add(id(parameter))
            order = torch.from_numpy(_order(name, parameter.numel(), draw))
            with torch.no_grad():
                flat = parameter.detach().reshape(-1)
                parameter.copy_(flat[order.to(flat.device)].view(parameter.shape))
        name = control_name(encoder.name, draw)
        if isinstance(encoder, EncoderOutput) or has_outputs(encoder):
            rename(encoder, name)  # alone or together, an output is the same encoder
        else:
            encoder.name = name


def _is_permuted(parameter: torch.nn.Parameter) -> bool:
    return parameter.is_floating_point() and parameter.numel() > 1


def _order(name: str, count: int, draw: int) -> NDArray[np.int64]:
    """A permutation of `count` numbers, drawn from a parameter's name and the control's."""
    digest = hashlib.sha256(f"permuted-{draw} {name} {count}".encode()).digest()
    words = np.frombuffer(digest, np.dtype("<u4"))
    order: NDArray[np.int64] = np.random.RandomState(words.astype(np.uint32)).permutation(count)
    return order
