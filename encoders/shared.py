"""Several encodings from one forward pass: the layers of a model, the parts of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from encoders.encoder import AudioEncoder, Frames


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
