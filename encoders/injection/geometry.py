"""Where an encoder's frames lie in its audio, and what follows for acoustic path and decoder.

Frame i of an encoder of r frames a second is centred at (i + 0.5) / r seconds. That need not fall
on whole samples: every window is placed by its centre, rounded to the nearest sample.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch

from earmark.encoders.dasheng.config import ACOUSTIC_FFT, SAMPLE_RATE
from earmark.encoders.dasheng.training.config import DecoderConfig, TrainingError
from earmark.encoders.encoder import AudioEncoder, EncoderError

MEL_RATE = 100.0  # mel frames a second, as near as whole ones in a latent frame allow
_MOST_OFF = 2.0  # times the decoder's rate may be off what the config asks for


@dataclass(frozen=True)
class Geometry:
    """Sizes of what is trained on an encoder.

    sample_rate: Hz. frame_rate: of the latents, a second. embed_dim: D. n_mels_patch: mel bands.
    mel_fft: samples of the acoustic window. patch_frames: mel frames in one latent frame.
    decoder_embed_dim, decoder_depth, decoder_intermediate_size, istft_n_fft, istft_hop: of the
    decoder, as in DashengTokenizer's `config.json`. upsample_tokens: decoder frames in one latent
    frame; 0: there is no whole number of them, and latents are interpolated to decoder frames.
    """

    sample_rate: int
    frame_rate: float
    embed_dim: int
    n_mels_patch: int
    mel_fft: int
    patch_frames: int
    decoder_embed_dim: int
    decoder_depth: int
    decoder_intermediate_size: int
    istft_n_fft: int
    istft_hop: int
    upsample_tokens: int

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            whole = type(value) is int or (one.name == "frame_rate" and type(value) is float)
            least = 0 if one.name == "upsample_tokens" else 1
            if not whole or not value >= least or not 0 <= value < math.inf:
                raise EncoderError(
                    f"{one.name} is {value!r}; it must be a number of at least {least}"
                )
        if self.istft_hop % 2 or self.istft_n_fft % 2 or self.istft_n_fft < self.istft_hop:
            raise EncoderError(
                f"istft_n_fft is {self.istft_n_fft} with istft_hop {self.istft_hop}; both must be "
                "even and the window at least as long as the hop"
            )

    @property
    def frame_samples(self) -> float:
        """Samples of one latent frame; need not be whole."""
        return self.sample_rate / self.frame_rate

    def samples_of(self, frames: torch.Tensor) -> torch.Tensor:
        """Samples that so many latent frames last, rounded: integers of the same shape."""
        return (frames.double() * self.frame_samples + 0.5).floor().long()

    def places(self, frames: int, first: torch.Tensor) -> torch.Tensor:
        """Samples on which the mel windows of latent frames are centred.

        first: (B,) number of the first frame. Returns (B, frames x patch_frames) from the
        beginning of the clip.
        """
        parts = torch.arange(frames * self.patch_frames, dtype=torch.float64, device=first.device)
        centres = first.double()[:, None] + (parts + 0.5) / self.patch_frames
        return (centres * self.frame_samples + 0.5).floor().long()

    def facts(self) -> dict[str, Any]:
        """As plain values; `Geometry(**facts)` is it again."""
        return dataclasses.asdict(self)


def geometry_of(encoder: AudioEncoder, model: DecoderConfig) -> Geometry:
    """The sizes that go with an encoder.

    model: bands, width, depth and inner width are taken as they are. Hop and window of the inverse
    STFT and the number of decoder frames in a latent frame follow the encoder: as near to the
    config's decoder frames a second as its frame rate allows, with the same overlap.
    Raises TrainingError for an encoder into which nothing can be injected.
    """
    why = f"encoder {encoder.name!r}"
    rate = encoder.frame_rate
    if rate is None:
        raise TrainingError(f"{why} gives one vector a clip; acoustic injection needs frames")
    if encoder.frame_rate_varies:
        raise TrainingError(
            f"{why} has a frame rate that varies by clip; acoustic injection needs a fixed one"
        )
    wanted = SAMPLE_RATE / model.istft_hop
    hop, upsample = _decoder_frames(encoder.sample_rate, float(rate), wanted)
    return Geometry(
        sample_rate=encoder.sample_rate,
        frame_rate=float(rate),
        embed_dim=encoder.embedding_dim,
        n_mels_patch=model.n_mels_patch,
        mel_fft=_even(ACOUSTIC_FFT * encoder.sample_rate / SAMPLE_RATE),
        patch_frames=max(1, round(MEL_RATE / rate)),
        decoder_embed_dim=model.decoder_embed_dim,
        decoder_depth=model.decoder_depth,
        decoder_intermediate_size=model.decoder_intermediate_size,
        istft_n_fft=_even(hop * model.istft_n_fft / model.istft_hop),
        istft_hop=hop,
        upsample_tokens=upsample,
    )


def _decoder_frames(sample_rate: int, frame_rate: float, wanted: float) -> tuple[int, int]:
    """Hop in samples, even, and decoder frames in a latent frame (0: no whole number fits)."""
    samples = sample_rate / frame_rate
    if samples == round(samples):
        whole = int(samples)
        fitting = [n for n in range(1, whole + 1) if whole % n == 0 and whole // n % 2 == 0]
        off = {n: abs(math.log(n * frame_rate / wanted)) for n in fitting}
        if off and min(off.values()) <= math.log(_MOST_OFF):
            best = min(off, key=off.__getitem__)
            return whole // best, best
    return _even(sample_rate / wanted), 0


def _even(value: float) -> int:
    """The nearest even whole number, 2 at least."""
    return max(2, 2 * round(value / 2))
