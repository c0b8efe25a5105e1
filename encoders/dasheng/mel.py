"""Mel spectrograms of each clip on its own, whatever batch it is in."""

from __future__ import annotations

import math

import torch

from earmark.encoders.dasheng.config import HOP, PATCH_FRAMES, SAMPLE_RATE

# Windows transformed at once: bounds memory (0.4 GB at 1024 samples) for long clips.
WINDOWS_AT_ONCE = 32_768


class MelSpectrogram(torch.nn.Module):
    """Centred mel spectrogram at 16 kHz with a hop of 160 samples, in float32.

    The clip is reflected at both of its own ends by half a window, so that frame i is centred on
    sample 160 i and n samples give 1 + n // 160 frames. Window and filters are buffers that a
    checkpoint brings along.

    n_fft: samples of window and FFT. bands: number of mel bands. power: 1 for the magnitude, 2
    for the power spectrum.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, n_fft: int, bands: int, power: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.power = power
        self.register_buffer("window", torch.empty(n_fft))
        self.register_buffer("filters", torch.empty(n_fft // 2 + 1, bands))

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, T) float32 samples, each clip longer than n_fft / 2 -> (B, 1 + T // 160, bands).

        Frames from 1 + lengths // 160 on do not belong to the clip.
        """
        # half precision would overflow in the power and drown quiet bands
        with torch.autocast(waveforms.device.type, enabled=False):
            padded = reflect_ends(waveforms, lengths, self.n_fft // 2)
            windows = padded.unfold(1, self.n_fft, HOP)  # (B, N, n_fft), a view
            step = max(1, WINDOWS_AT_ONCE // len(windows))
            parts = [self._mel(part) for part in windows.split(step, dim=1)]
            return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def _mel(self, windows: torch.Tensor) -> torch.Tensor:
        magnitude = torch.fft.rfft(windows * self.window).abs()
        spectrum = magnitude.square() if self.power == 2 else magnitude
        return spectrum @ self.filters  # type: ignore[no-any-return]


def reflect_ends(waveforms: torch.Tensor, lengths: torch.Tensor, margin: int) -> torch.Tensor:
    """Mirror each clip at its own first and last sample: (B, T) -> (B, margin + T + margin).

    Row b holds `margin` mirrored samples, the clip's own `lengths[b]`, `margin` mirrored samples,
    and what followed in `waveforms`. Every clip must be longer than `margin`.
    """
    padded = torch.nn.functional.pad(waveforms, (margin, margin))
    padded[:, :margin] = waveforms[:, 1 : margin + 1].flip(1)
    steps = torch.arange(margin, device=waveforms.device)
    mirrored = waveforms.gather(1, lengths[:, None] - 2 - steps)
    return padded.scatter(1, margin + lengths[:, None] + steps, mirrored)


def own_samples(
    waveforms: torch.Tensor, lengths: torch.Tensor, shortest: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Zeros beyond each clip's own samples, and clips below `shortest` samples made that long.

    (B, T) and (B,) -> (B, longest clip) float32 and (B,), the lengths that result.
    """
    own = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
    audio = waveforms.float().where(own, 0.0)
    lengths = lengths.clamp(min=shortest)
    # negative where the batch is wider than its longest clip: cut
    return torch.nn.functional.pad(audio, (0, int(lengths.max()) - audio.shape[1])), lengths


def frame_counts(lengths: torch.Tensor) -> torch.Tensor:
    """Mel frames in clips of so many samples."""
    return lengths // HOP + 1


def token_counts(lengths: torch.Tensor) -> torch.Tensor:
    """Tokens of 40 ms in clips of so many samples: whole groups of 4 mel frames."""
    return frame_counts(lengths) // PATCH_FRAMES


def hann_window(size: int) -> torch.Tensor:
    """(size,) periodic Hann window."""
    return torch.hann_window(size, dtype=torch.float64).float()


def htk_filters(n_fft: int, bands: int, sample_rate: int = SAMPLE_RATE) -> torch.Tensor:
    """(n_fft / 2 + 1, bands): triangles, evenly spaced on the HTK mel scale, up to half the rate.

    mel = 2595 log10(1 + f / 700) (The HTK Book, section 5.4); peaks are 1, no area normalisation.
    """
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    mel = torch.linspace(0, top, bands + 2, dtype=torch.float64)
    corners = 700 * (10 ** (mel / 2595) - 1)
    hertz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (hertz - low) / (peak - low), (high - hertz) / (high - peak)
    return torch.minimum(rising, falling).clamp(min=0).float()
