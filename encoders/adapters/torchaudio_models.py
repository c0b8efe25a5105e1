"""`torchaudio:BUNDLE` or `torchaudio:FACTORY`: the networks of torchaudio, with a file of weights.

Its bundles (`HUBERT_BASE`) tell the sizes of a network and whether each clip is scaled to zero mean
and unit variance; its factories (`hubert_base`) the sizes alone. Weights are not fetched: they are
the tensors of a file, as torchaudio publishes them.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from earmark.encoders.baselines.layers import layer_number
from earmark.encoders.baselines.pieces import (
    PASS_SECONDS,
    PIECE_SECONDS,
    Outputs,
    cut,
    join_pieces,
    run_equal,
)
from earmark.encoders.baselines.speech import receptive_field
from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.family import ALL_LAYERS, full_name
from earmark.encoders.hints import no_such_output
from earmark.encoders.shared import OutputEncoder, SharedPass
from earmark.encoders.tensors import State, filled, read_file, renamed, state_of, weights_file

PREFIX = "torchaudio:"
SAMPLE_RATE = 16_000
NORM_FLOOR = 1e-5  # of torch's layer norm, by which torchaudio scales a clip
_HEAD = "aux."  # letters' scores, of bundles for recognition
# The weight norm of the positional convolution, in torch's former and present way.
_POSITIONAL = "encoder.transformer.pos_conv_embed.conv."
_FORMER = {
    f"{_POSITIONAL}weight_g": f"{_POSITIONAL}parametrizations.weight.original0",
    f"{_POSITIONAL}weight_v": f"{_POSITIONAL}parametrizations.weight.original1",
}
_WRAPPERS = ("model.", "wav2vec2.")  # of bundles, and of models for pre-training


class TorchaudioPass(SharedPass):
    """wav2vec 2.0, HuBERT or WavLM: a frame of 25 ms every 20 ms at 16 kHz.

    Outputs are "", what the encoder gives, and "layer-1" and up, what each transformer layer gives
    (`extract_features`; torchaudio gives no layer 0). Clips are scaled each on its own where the
    bundle says so, and only clips of exactly equal length share a pass. Those longer than 30 s are
    cut on the grid of their frames.
    """

    def __init__(self, model: Any, name: str, *, normalise: bool) -> None:
        super().__init__()
        self.model, self.normalise = model, normalise
        convolutions = [layer.conv for layer in model.feature_extractor.conv_layers]
        kernels = [one.kernel_size[0] for one in convolutions]
        strides = [one.stride[0] for one in convolutions]
        self.hop = math.prod(strides)
        self.window = receptive_field(kernels, strides)
        self.layers = len(model.encoder.transformer.layers)
        self.embedding_dim = int(model.encoder.transformer.layer_norm.normalized_shape[0])
        self.facts = {"network": name, "normalise": normalise, "piece_seconds": PIECE_SECONDS}

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        longest = PIECE_SECONDS * SAMPLE_RATE // self.hop
        pieces, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            clip = self._prepared(waveform[:length])
            frames = (len(clip) - self.window) // self.hop + 1
            for start, stop in cut(frames, longest):
                # samples after the last frame count too: a norm over time sees some of them
                end = len(clip) if stop == frames else (stop - 1) * self.hop + self.window
                pieces.append(clip[start * self.hop : end])
                owners.append(owner)
        at_once = max(1, PASS_SECONDS * SAMPLE_RATE // max(len(piece) for piece in pieces))
        found = run_equal(pieces, at_once, partial(self._run, outputs=outputs))
        return join_pieces(owners, found, outputs)

    def _prepared(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples, scaled and at least one frame long."""
        if self.normalise:
            clip = torch.nn.functional.layer_norm(clip, clip.shape, eps=NORM_FLOOR)
        return torch.nn.functional.pad(clip, (0, max(0, self.window - len(clip))))

    def _run(self, batch: torch.Tensor, outputs: Sequence[str]) -> Outputs:
        numbers = [layer_number(output) for output in outputs if output]
        found: Outputs = {}
        features, _ = self.model.feature_extractor(batch, None)
        if numbers:
            hidden = self.model.encoder.extract_features(features, None, max(numbers))
            found = {f"layer-{number}": hidden[number - 1] for number in numbers}
        if "" in outputs:
            found[""] = self.model.encoder(features, None)
        return found


class TorchaudioEncoder(OutputEncoder):
    """One output of a TorchaudioPass."""

    libraries: ClassVar[tuple[str, ...]] = ("torchaudio",)

    def __init__(self, shared: TorchaudioPass, family: str, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name(family, output)
        self.sample_rate = SAMPLE_RATE
        self.frame_rate = SAMPLE_RATE / shared.hop
        self.embedding_dim = shared.embedding_dim
        self.config = shared.facts


def load(
    asked: str, outputs: tuple[str, ...], *, weights: Path | None = None
) -> list[AudioEncoder]:
    """An encoder for each output of a network, `torchaudio:ASKED`.

    asked: name of a bundle, or of a factory. weights: its file of tensors. Raises EncoderError, one
    line.
    """
    name = f"{PREFIX}{asked}"
    for prefix in ("torchaudio.", "pipelines.", "models."):
        asked = asked.removeprefix(prefix)
    build, normalise, file, where = _network(name, asked)
    path = weights_file(name, weights, (file, f"{asked}.pt"), where)
    content = read_file(path)
    state = _without_head(state_of(content, path, "state_dict", "model"))
    model = filled(lambda: _headless(build()), state, f"encoder {name!r}: {path}")
    shared = TorchaudioPass(model, asked, normalise=normalise)
    wanted: list[str] = []
    for output in outputs:
        if output == ALL_LAYERS:
            wanted += [f"layer-{number}" for number in range(1, shared.layers + 1)]
        elif output and not 1 <= layer_number(output) <= shared.layers:
            raise EncoderError(
                f"encoder {name!r} has layers 1 to {shared.layers}, no {layer_number(output)}"
            )
        else:
            wanted.append(output)
    return [TorchaudioEncoder(shared, name, output) for output in dict.fromkeys(wanted)]


def _network(name: str, asked: str) -> tuple[Callable[[], Any], bool, str, str]:
    """What builds a network, whether it is given scaled clips, its file, and where to get that."""
    from torchaudio import models, pipelines

    bundles = {
        key: one
        for key, one in vars(pipelines).items()
        if key.isupper() and all(hasattr(one, fact) for fact in ("_model_type", "_params"))
    }
    makers = {"Wav2Vec2": models.wav2vec2_model, "WavLM": models.wavlm_model}
    factories = {
        key: one
        for key, one in vars(models).items()
        if key.startswith(("wav2vec2_", "hubert_", "wavlm_"))
        and not ("pretrain" in key or key.endswith("_model"))
        and inspect.isfunction(one)
    }
    if asked in bundles:
        bundle = bundles[asked]
        if not bundle.sample_rate == SAMPLE_RATE:
            raise EncoderError(f"encoder {name!r}: its bundle is of {bundle.sample_rate:g} Hz")
        file = bundle._path.rpartition("/")[2]
        where = (
            f"torchaudio (torchaudio.pipelines.{asked}.get_model() puts it into checkpoints/ of "
            "torch.hub.get_dir())"
        )
        build = partial(makers[bundle._model_type], **bundle._params)
        return build, bool(bundle._normalize_waveform), file, where
    if asked in factories:
        return factories[asked], False, "state_dict.pt", f"the training of torchaudio's {asked}()"
    close = difflib.get_close_matches(asked, [*bundles, *factories], n=1, cutoff=0.5)
    if hasattr(pipelines, asked) or hasattr(models, asked):
        raise EncoderError(
            f"encoder {name!r}: torchaudio's {asked} gives no hidden layers of speech; those that "
            f"do: {', '.join(sorted(bundles)[:3])}, ... and {', '.join(sorted(factories)[:3])}, ..."
        )
    if wrong := no_such_output(name, asked):
        raise EncoderError(wrong)
    hint = f"did you mean '{PREFIX}{close[0]}'?" if close else "see torchaudio.pipelines"
    raise EncoderError(f"encoder {name!r}: torchaudio has no {asked!r}; {hint}")


def _headless(model: Any) -> Any:
    model.aux = None
    return model


def _without_head(state: Mapping[str, torch.Tensor]) -> State:
    """A network's tensors under its own names, without scores of letters and of pre-training."""
    for prefix in _WRAPPERS:
        if any(key.startswith(f"{prefix}feature_extractor.") for key in state):
            state = {
                key.removeprefix(prefix): one
                for key, one in state.items()
                if key.startswith(prefix)
            }
    return renamed({key: one for key, one in state.items() if not key.startswith(_HEAD)}, _FORMER)
