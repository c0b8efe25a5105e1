"""An encoder as a package of its own brings it: magnitudes of 10 ms of audio."""

from __future__ import annotations

import torch

from earmark import AudioEncoder, Frames

HOP = 160


class Spectrum(AudioEncoder):
    """Log magnitudes of 81 frequencies in each whole 10 ms; a shorter clip is zero-padded."""

    name = "spectrum"
    sample_rate = 16_000  # Hz
    embedding_dim = HOP // 2 + 1
    frame_rate = 16_000 / HOP
    honours_lengths = True  # a frame is made of its own 10 ms alone

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        frames = (lengths // HOP).clamp(min=1)
        wanted = int(frames.max()) * HOP
        short = max(0, wanted - waveforms.shape[1])
        audio = torch.nn.functional.pad(waveforms, (0, short))[:, :wanted]
        values = torch.fft.rfft(audio.view(len(audio), -1, HOP)).abs()
        return Frames(values.add(1e-3).log(), frames)
