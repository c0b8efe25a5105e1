"""Encoders over the output and the hidden layers of one transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from earmark.encoders.baselines.checkpoint import forget_place, plain_config
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.family import ALL_LAYERS, full_name
from earmark.encoders.shared import OutputEncoder, SharedPass


class LayeredPass(SharedPass):
    """A transformer of `transformers`: its output is "", its hidden states `layer-0` and up.

    `layer-N` is entry N of the `hidden_states` that the model returns: 0 is what goes into the
    first layer.

    sample_rate: Hz. frame_rate: frames a second. honours_lengths: as of an AudioEncoder.
    """

    sample_rate: int
    frame_rate: float
    honours_lengths: bool

    def __init__(self, model: Any, settings: dict[str, Any]) -> None:
        """settings: what the output depends on besides weights and the model's configuration."""
        super().__init__()
        from transformers.utils.output_capturing import maybe_install_capturing_hooks

        self.model = model
        self.facts = {"model": plain_config(model.config), **settings}
        self.embedding_dim = int(model.config.hidden_size)
        # else its first use would, and change the fingerprint
        maybe_install_capturing_hooks(model)
        forget_place(model)

    @property
    def layers(self) -> int:
        """Number of the last layer."""
        return int(self.model.config.num_hidden_layers)

    def forward_outputs(self, outputs: Sequence[str], **inputs: Any) -> dict[str, torch.Tensor]:
        """One forward pass of the model: outputs by name, (B, F, D) each."""
        hidden = any(output for output in outputs)
        found = self.model(**inputs, **({"output_hidden_states": True} if hidden else {}))
        return {
            output: found.hidden_states[layer_number(output)] if output else found.last_hidden_state
            for output in outputs
        }


class LayerEncoder(OutputEncoder):
    """The output, or one hidden layer, of a LayeredPass."""

    libraries: ClassVar[tuple[str, ...]] = ("transformers",)

    def __init__(self, shared: LayeredPass, family: str, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name(family, output)
        self.sample_rate = shared.sample_rate
        self.frame_rate = shared.frame_rate
        self.embedding_dim = shared.embedding_dim
        self.honours_lengths = shared.honours_lengths
        self.config = shared.facts


def layer_number(output: str) -> int:
    """`layer-12` -> 12."""
    return int(output.removeprefix("layer-"))


def layer_encoders(shared: LayeredPass, family: str, outputs: Sequence[str]) -> list[AudioEncoder]:
    """One encoder for each output, and for each layer where all are asked for; each once."""
    wanted: list[str] = []
    for output in outputs:
        if output == ALL_LAYERS:
            wanted += [f"layer-{number}" for number in range(shared.layers + 1)]
        elif output and layer_number(output) > shared.layers:
            name = family.partition("@")[0]
            raise EncoderError(
                f"encoder {name!r} has layers 0 to {shared.layers}, no {layer_number(output)}"
            )
        else:
            wanted.append(output)
    return [LayerEncoder(shared, family, output) for output in dict.fromkeys(wanted)]
