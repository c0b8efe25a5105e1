"""What of an encoder is measured: several outputs of one pass, and the one vector a clip of some.

An encoder whose class has `encode_outputs` is measured as itself and, as `NAME:OUTPUT`, as each of
its hidden layers (`layer_count`) and other outputs (`named_outputs`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from earmark.encoders import shared
from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.family import ALL_LAYERS, full_name
from earmark.encoders.home import home_of, inside, settle
from earmark.encoders.layered import EncoderOutput
from earmark.encoders.made import Made, made_with, note_made, rename
from earmark.encoders.shared import OutputEncoder


def has_outputs(encoder: AudioEncoder) -> bool:
    """Whether an encoder's class gives several outputs of one pass."""
    return type(encoder).encode_outputs is not AudioEncoder.encode_outputs


def output_names(encoder: AudioEncoder) -> list[str]:
    """Names of all its outputs besides its own: layers in order, then others."""
    if not has_outputs(encoder):
        return []
    last = encoder.layer_count
    layers = [] if last is None else [f"layer-{number}" for number in range(last + 1)]
    return list(dict.fromkeys([*layers, *encoder.named_outputs]))


def outputs_of(whole: AudioEncoder, wanted: Sequence[str]) -> list[AudioEncoder]:
    """The encoder of each output wanted, in order, each once; "" is the encoder itself.

    wanted: `layer-all` stands for all layers. Raises EncoderError for one that there is not.
    """
    found: list[AudioEncoder] = []
    known = output_names(whole)
    for output in dict.fromkeys(_expanded(wanted, known)):
        if output and output not in known:
            raise EncoderError(f"encoder {whole.name!r} has no output {output!r}{_what(whole)}")
        found.append(_output(whole, output) if output else whole)
    return found


def _expanded(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    layers = [name for name in known if name.startswith("layer-")]
    every: list[str] = []
    for output in wanted:
        every += layers if output == ALL_LAYERS and layers else [output]
    return every


def _what(whole: AudioEncoder) -> str:
    """What outputs an encoder has, or why it has none."""
    if not has_outputs(whole):
        return ": its class has no encode_outputs() (encoders/README.md has an example)"
    last = whole.layer_count
    some = [] if last is None else [f"layer-0 to layer-{last}"]
    some += [name for name in whole.named_outputs if not name.startswith("layer-")]
    return f"; it has {', '.join(some)}" if some else "; set layer_count or named_outputs"


def _output(whole: AudioEncoder, output: str) -> EncoderOutput:
    made = EncoderOutput(whole, output)
    settle(made, home_of(whole))
    before = made_with(whole)
    note_made(made, Made(before.arguments, before.contents))
    rename(made, full_name(whole.name, output))
    return made.eval()


def pass_of(encoder: AudioEncoder) -> torch.nn.Module:
    """What makes the pass of an encoder: outputs of one module come from one pass."""
    return encoder.shared if isinstance(encoder, OutputEncoder) else encoder


def encode_each(
    encoders: Sequence[AudioEncoder], waveforms: torch.Tensor, lengths: torch.Tensor
) -> list[Frames]:
    """What each of several encoders makes of a batch; outputs of one pass in one pass.

    Each in its own home: what its code changes of the process reaches no other. Raises EncoderError
    where `encode_outputs` lacks an output that was asked for.
    """
    outputs = {id(pass_of(one)) for one in encoders if isinstance(one, EncoderOutput)}
    asked = [_as_output(one) if id(one) in outputs else one for one in encoders]
    try:
        return shared.encode_each(asked, waveforms, lengths)
    except KeyError as error:
        for one in asked:
            if isinstance(one, EncoderOutput) and error.args == (one.output,):
                raise EncoderError(
                    f"encoder {one.name!r}: encode_outputs() did not return the output "
                    f"{one.output!r} that it was asked for; return each of `outputs`"
                ) from error
        raise


def _as_output(whole: AudioEncoder) -> EncoderOutput:
    """An encoder itself as one output of its pass."""
    made = EncoderOutput(whole, "")
    made.name = whole.name
    settle(made, home_of(whole))
    return made


def scene_at_home(
    encoder: AudioEncoder, waveforms: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """What `encode_scene` makes of a batch, in its own home. Raises EncoderError: no tensor."""
    with inside(home_of(encoder)):
        vectors = encoder.encode_scene(waveforms, lengths)
    if not isinstance(vectors, torch.Tensor) or not vectors.is_floating_point():
        kind = getattr(vectors, "dtype", type(vectors).__name__)
        raise EncoderError(
            f"encoder {encoder.name!r} returned {kind} from encode_scene(); expected a floating "
            f"point tensor (B, {encoder.scene_dim})"
        )
    return vectors
