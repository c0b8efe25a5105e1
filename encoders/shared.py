"""Several encodings from one forward pass: the layers of a model, the parts of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from earmark.encoders.encoder import AudioEncoder, Codec, Frames
from earmark.encoders.home import home_of, inside


class SharedPass(torch.nn.Module):
    """A network with several outputs, each of which is measured as an encoder of its own."""

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        """Encode a batch once; waveforms and lengths as in `AudioEncoder.encode`.

        outputs: names of what is wanted. Returns each of them.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement encode_outputs()")


class OutputEncoder(AudioEncoder):
    """One output of a shared pass. Those over the same pass are embedded in one go.

    shared: the network, held once however many outputs of it are measured.
    output: which of its outputs this encoder is.
    """

    def __init__(self, shared: SharedPass, output: str) -> None:
        super().__init__()
        self.shared = shared
        self.output = output

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        return self.shared.encode_outputs(waveforms, lengths, (self.output,))[self.output]


def encode_each(
    encoders: Sequence[AudioEncoder], waveforms: torch.Tensor, lengths: torch.Tensor
) -> list[Frames]:
    """What each of several encoders makes of a batch; outputs of one shared pass in one pass.

    Each in its own home: what its code changes of the process reaches no other.
    """
    found: dict[AudioEncoder, Frames] = {}
    for encoder in encoders:
        if encoder in found:
            continue
        if not isinstance(encoder, OutputEncoder):
            with inside(home_of(encoder)):
                found[encoder] = encoder.encode(waveforms, lengths)
            continue
        mates = [e for e in encoders if isinstance(e, OutputEncoder) and e.shared is encoder.shared]
        names = list(dict.fromkeys(mate.output for mate in mates))
        with inside(home_of(encoder)):
            frames = encoder.shared.encode_outputs(waveforms, lengths, names)
        found |= {mate: frames[mate.output] for mate in mates}
    return [found[encoder] for encoder in encoders]


def decode_at_home(codec: Codec, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    """What a codec decodes, as `Codec.decode`, in its own home."""
    with inside(home_of(codec)):
        return codec.decode(frames)
