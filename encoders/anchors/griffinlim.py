"""A log-mel spectrogram inverted: what is left without phase and fine frequency."""

from __future__ import annotations

import itertools

import torch
import torchaudio

from earmark.encoders.encoder import Codec, Frames

N_FFT = 1024  # samples: 64 ms at 16 kHz
HOP = 160  # samples: 10 ms
BANDS = 64
MAGNITUDE_FLOOR = 1e-5
ITERATIONS = 32
MOMENTUM = 0.99
# Longer clips are inverted in pieces of so many frames, which overlap and fade into each other.
PIECE_FRAMES = 3000  # 30 s
FADE_FRAMES = 20


class GriffinLim(Codec):
    """64 log-mel bands every 10 ms, and back by a fast Griffin-Lim: 6400 values a second.

    Magnitude mel spectrogram at 16 kHz (Hann window and FFT of 1024, HTK bands from 0 to 8000 Hz),
    natural logarithm after a floor of 1e-5. Back: the pseudo-inverse of the bands, negative
    magnitudes as zero; then 32 iterations with momentum 0.99 (Perraudin, Balazs and Sondergaard,
    WASPAA 2013) from phases drawn with a fixed seed. Frame i is centred on sample 160 i + 80;
    samples beyond the clip count as zero. Clips longer than 30 s are inverted in pieces.
    """

    name = "griffinlim"
    sample_rate = 16_000
    embedding_dim = BANDS
    frame_rate = sample_rate / HOP
    honours_lengths = True
    libraries = ("torchaudio",)

    window: torch.Tensor
    filters: torch.Tensor
    inverse: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = torchaudio.functional.melscale_fbanks(
            N_FFT // 2 + 1, 0.0, self.sample_rate / 2, BANDS, self.sample_rate
        )
        self.register_buffer("window", torch.hann_window(N_FFT))
        self.register_buffer("filters", filters)
        self.register_buffer("inverse", torch.linalg.pinv(filters.double()).float())

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        own = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
        audio = waveforms.float().where(own, 0.0)
        counts = -(-lengths // HOP)
        edge = (N_FFT - HOP) // 2
        missing = int(counts.max()) * HOP - audio.shape[1]
        padded = torch.nn.functional.pad(audio, (edge, missing + edge))
        windows = padded.unfold(1, N_FFT, HOP)  # (B, F, N_FFT), a view
        # part by part, so that memory does not grow with the clip
        parts = [self._log_mel(part) for part in windows.split(PIECE_FRAMES, dim=1)]
        return Frames(torch.cat(parts, dim=1), counts)

    def _log_mel(self, windows: torch.Tensor) -> torch.Tensor:
        magnitude = torch.fft.rfft(windows * self.window).abs()
        mel: torch.Tensor = magnitude @ self.filters
        return mel.clamp(min=MAGNITUDE_FLOOR).log()

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        counts = frames.lengths.tolist()
        # each clip alone, from the same phases whatever its batch
        clips = [
            self._clip(values[:count]) for values, count in zip(frames.values, counts, strict=True)
        ]
        return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), frames.lengths * HOP

    def _clip(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(F, BANDS) -> (F x HOP,) samples."""
        pieces = [
            self._invert(log_mel[start : start + PIECE_FRAMES + FADE_FRAMES])
            for start in range(0, max(1, len(log_mel) - FADE_FRAMES), PIECE_FRAMES)
        ]
        if len(pieces) == 1:
            return pieces[0]
        fade = FADE_FRAMES * HOP
        rise = torch.linspace(0, 1, fade, device=log_mel.device)
        for earlier, later in itertools.pairwise(pieces):
            later[:fade] = later[:fade] * rise + earlier[-fade:] * (1 - rise)
        return torch.cat([*(piece[:-fade] for piece in pieces[:-1]), pieces[-1]])

    def _invert(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(F, BANDS) -> (F x HOP,) samples."""
        # the floor stands for silence
        mel = log_mel.float().exp() - MAGNITUDE_FLOOR
        magnitude = (mel @ self.inverse).clamp(min=0).T  # (bins, F)
        generator = torch.Generator().manual_seed(0)  # the CPU's, so that every device has the same
        turns = torch.rand(magnitude.shape, generator=generator).to(magnitude.device)
        phases = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
        previous = torch.zeros_like(phases)
        for _ in range(ITERATIONS):
            rebuilt = self._stft(self._istft(magnitude * phases))
            phases = torch.sgn(rebuilt - previous * (MOMENTUM / (1 + MOMENTUM)))
            previous = rebuilt
        return self._istft(magnitude * phases)

    def _istft(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(bins, F) -> (F x HOP,): overlap-add, divided by the summed squared windows."""
        frames = torch.fft.irfft(spectrum.T, N_FFT).T  # (N_FFT, F)
        edge = (N_FFT - HOP) // 2
        summed = self._overlap(frames * self.window[:, None])
        weight = self._overlap(self.window.square()[:, None].expand_as(frames))
        samples: torch.Tensor = summed / weight.clamp(min=1e-8)
        return samples[edge:-edge]

    def _overlap(self, frames: torch.Tensor) -> torch.Tensor:
        total = (frames.shape[1] - 1) * HOP + N_FFT
        folded = torch.nn.functional.fold(
            frames[None], (1, total), kernel_size=(1, N_FFT), stride=(1, HOP)
        )
        samples: torch.Tensor = folded[0, 0, 0]
        return samples

    def _stft(self, samples: torch.Tensor) -> torch.Tensor:
        """(F x HOP,) -> (bins, F)."""
        edge = (N_FFT - HOP) // 2
        windows = torch.nn.functional.pad(samples, (edge, edge)).unfold(0, N_FFT, HOP)
        spectrum: torch.Tensor = torch.fft.rfft(windows * self.window)
        return spectrum.T
