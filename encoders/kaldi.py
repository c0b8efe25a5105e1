"""Kaldi's log-mel filter bank: the front end of AST, BEATs and others.

Source: Kaldi's `compute-fbank-feats` (feature-fbank.cc, feature-window.cc, mel-computations.cc)
with its defaults but without dither; the tests compare with torchaudio's port of it.
"""

from __future__ import annotations

import math
from typing import Literal

import torch

Window = Literal["povey", "hanning"]
PREEMPHASIS = 0.97
LOWEST = 20.0  # Hz, where the first filter begins; the last ends at half the sample rate
FLOOR = 1.1920928955078125e-07  # below the log: the step of float32 at 1
# Windows transformed at once: bounds memory (0.1 GB at 512 samples) for long clips.
WINDOWS_AT_ONCE = 32_768


class KaldiFbank(torch.nn.Module):
    """(B, T) samples at 16 kHz -> (B, N, bands) natural logs of mel power, in float32.

    Frames of 25 ms every 10 ms, wholly within the samples (snip edges): N = 1 + (T - 400) // 160.
    Each loses its mean, is pre-emphasised, windowed and padded to 512 samples. A frame depends on
    its own 400 samples alone, so padding reaches no frame of a clip.

    bands: mel filters. The window and the filters are buffers, `fbank_constants` their values.
    """

    size, hop, n_fft = 400, 160, 512  # samples
    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.empty(self.size))
        self.register_buffer("filters", torch.empty(self.n_fft // 2 + 1, bands))

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """waveforms: (B, T) with T >= 400, in the scale the model was trained with."""
        # half precision would overflow in the power and drown quiet bands
        with torch.autocast(waveforms.device.type, enabled=False):
            windows = waveforms.float().unfold(1, self.size, self.hop)  # (B, N, 400), a view
            step = max(1, WINDOWS_AT_ONCE // len(windows))
            return torch.cat([self._logs(part) for part in windows.split(step, dim=1)], dim=1)

    def _logs(self, windows: torch.Tensor) -> torch.Tensor:
        windows = windows - windows.mean(2, keepdim=True)
        before = torch.cat([windows[:, :, :1], windows[:, :, :-1]], dim=2)
        spectrum = torch.fft.rfft((windows - PREEMPHASIS * before) * self.window, n=self.n_fft)
        power: torch.Tensor = spectrum.abs().square() @ self.filters
        return power.clamp(min=FLOOR).log()

    def frames(self, samples: int) -> int:
        """Frames of a clip of so many samples, at least 400."""
        return 1 + (samples - self.size) // self.hop


def fbank_constants(bands: int, window: Window = "povey") -> dict[str, torch.Tensor]:
    """Values of the buffers of a KaldiFbank, by name.

    window: Kaldi's own, a symmetric Hann window to the power of 0.85, or that window itself.
    Filters are triangles on the scale mel = 1127 ln(1 + f / 700), and straight lines on that scale,
    not in Hz; their peaks are 1. The bin of half the sample rate is in none.
    """
    size, n_fft = KaldiFbank.size, KaldiFbank.n_fft
    shape = torch.hann_window(size, periodic=False, dtype=torch.float64)
    if window == "povey":
        shape = shape**0.85
    hertz = torch.arange(n_fft // 2, dtype=torch.float64)[:, None] * 16_000 / n_fft
    mel = 1127 * (1 + hertz / 700).log()
    low, high = (1127 * math.log(1 + edge / 700) for edge in (LOWEST, 8_000.0))
    corners = torch.linspace(low, high, bands + 2, dtype=torch.float64)
    rising = (mel - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - mel) / (corners[2:] - corners[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    filters = torch.cat([filters, filters.new_zeros(1, bands)])
    return {"window": shape.float(), "filters": filters.float()}
