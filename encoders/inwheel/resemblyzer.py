"""Resemblyzer's voice encoder: GE2E (Wan et al. 2018, arXiv 1710.10467), trained on speakers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.family import full_name
from earmark.encoders.inwheel.mel import SAMPLE_RATE, PowerMel, mel_constants
from earmark.encoders.inwheel.package import Packaged
from earmark.encoders.shared import OutputEncoder, SharedPass
from earmark.encoders.tensors import filled, read_file, state_of

FILES = Packaged(
    "Resemblyzer", "0.1.4",
    {"resemblyzer/pretrained.pt":
     "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"},
)  # fmt: skip
UTTERANCE = "utterance"
N_FFT, HOP, BANDS, WIDTH, LAYERS = 400, 160, 40, 256, 3
# Root mean square to which quieter clips are raised: -30 dB of full scale.
LOUDNESS = 10**-1.5
PARTIAL = 160  # frames of one partial utterance
STEP = 77  # frames between two: 1.3 a second
LEAST_SHARE = 0.75  # of the last partial that must be audio
PARTIALS_AT_ONCE = 256
# Of the loss that it was trained by, and not of the network.
_TRAINING_ONLY = ("similarity_weight", "similarity_bias")


class ResemblyzerPass(SharedPass):
    """40 mel bands every 10 ms (their power, without a logarithm), three LSTM layers of 256.

    "" are the top layer's states, 1 + n // 160 of them for n samples. "utterance" is one vector a
    clip, of length 1: of partial utterances of 1.6 s, 1.3 a second, each from a state of zeros, the
    last state goes through a linear layer and ReLU and is scaled to length 1; then their mean is.
    Quiet clips are raised to -30 dB of full scale before, as the package does; unlike there no
    silence is cut out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mel = PowerMel(N_FFT, HOP, BANDS)
        self.lstm = torch.nn.LSTM(BANDS, WIDTH, LAYERS, batch_first=True)
        self.linear = torch.nn.Linear(WIDTH, WIDTH)

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        audio = raised(waveforms, lengths)
        counts = lengths // HOP + 1
        starts = [partial_starts(length) for length in lengths.tolist()]
        needed = int(counts.max())
        if UTTERANCE in outputs:
            needed = max(needed, max(own[-1] for own in starts) + PARTIAL)
        mels = self.mel(audio, lengths, needed)
        found = {}
        if "" in outputs:
            # states know nothing of what comes later, so padding does not matter
            found[""] = Frames(self.lstm(mels[:, : int(counts.max())])[0], counts)
        if UTTERANCE in outputs:
            vectors = self._utterances(mels, starts)
            found[UTTERANCE] = Frames(vectors[:, None], torch.ones_like(counts))
        return found

    def _utterances(self, mels: torch.Tensor, starts: Sequence[Sequence[int]]) -> torch.Tensor:
        """(B, frames, 40), and where each clip's partials start -> (B, 256)."""
        partials = torch.stack(
            [mel[at : at + PARTIAL] for mel, own in zip(mels, starts, strict=True) for at in own]
        )
        ends = [self.lstm(part)[0][:, -1] for part in partials.split(PARTIALS_AT_ONCE)]
        vectors = torch.nn.functional.normalize(self.linear(torch.cat(ends)).relu(), dim=-1)
        means = [own.mean(0) for own in vectors.split([len(own) for own in starts])]
        return torch.nn.functional.normalize(torch.stack(means), dim=-1)


def raised(waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Clips (B, T), each at least as loud as LOUDNESS by the mean over its own samples.

    A clip of zeros alone stays as it is.
    """
    own = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
    audio = waveforms.float().where(own, 0.0)
    rms = (audio.square().sum(1) / lengths).sqrt()
    gain = torch.where(rms > 0, LOUDNESS / rms, 1.0).clamp(min=1.0)
    return audio * gain[:, None]


def partial_starts(samples: int) -> list[int]:
    """At which frames the partial utterances of a clip start; one at least.

    Every 77 frames, as long as they begin within the clip; the last is left out where less than
    three quarters of it are audio.
    """
    frames = -(-(samples + 1) // HOP)
    starts = list(range(0, max(1, frames - PARTIAL + STEP + 1), STEP))
    share = (samples / HOP - starts[-1]) / PARTIAL
    return starts[:-1] if share < LEAST_SHARE and len(starts) > 1 else starts


class ResemblyzerEncoder(OutputEncoder):
    """One output of a ResemblyzerPass."""

    honours_lengths = True

    def __init__(self, shared: ResemblyzerPass, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name("resemblyzer", output)
        self.sample_rate = SAMPLE_RATE
        self.frame_rate = None if output == UTTERANCE else SAMPLE_RATE / HOP
        self.embedding_dim = WIDTH


def load(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """Resemblyzer's encoder from the installed package, or from a folder with its file.

    Raises EncoderError where the file is missing or another.
    """
    (path,) = FILES.located("resemblyzer", weights)
    state = state_of(read_file(path), path, "model_state")
    own = {key: tensor for key, tensor in state.items() if key not in _TRAINING_ONLY}
    constants = {f"mel.{key}": value for key, value in mel_constants(N_FFT, BANDS).items()}
    network = filled(ResemblyzerPass, own | constants, str(path))
    return [ResemblyzerEncoder(network, output) for output in dict.fromkeys(outputs)]
