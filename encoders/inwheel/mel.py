"""Power mel spectrograms as librosa makes them: Slaney's bands and norm, zeros beyond the ends."""

from __future__ import annotations

import math

import torch

from earmark.encoders.dasheng.mel import hann_window

SAMPLE_RATE = 16_000  # Hz
# Windows transformed at once: bounds memory (0.3 GB at 512 samples) for long clips.
WINDOWS_AT_ONCE = 16_384


class PowerMel(torch.nn.Module):
    """Mel bands of the power spectrum at 16 kHz; frame i is centred on sample `hop` i.

    Computed in float64: what follows rounds to 16 bits in one of the models, and a frame must not
    fall to the other side of a step because another clip is in its batch.

    n_fft: samples of the Hann window and of the FFT. bands: from 0 to 8000 Hz.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, n_fft: int, hop: int, bands: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.empty(n_fft))
        self.register_buffer("filters", torch.empty(n_fft // 2 + 1, bands))

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor, frames: int) -> torch.Tensor:
        """(B, T) samples, (B,) each clip's own -> (B, frames, bands) float32.

        Samples beyond a clip's own count as zero, as do those beyond T.
        """
        device = waveforms.device
        place = torch.device("cpu") if device.type == "mps" else device  # it has no float64
        own = torch.arange(waveforms.shape[1], device=device) < lengths[:, None]
        audio = waveforms.float().where(own, 0.0).to(place)
        needed = (frames - 1) * self.hop + self.n_fft
        before = self.n_fft // 2
        padded = torch.nn.functional.pad(audio, (before, max(0, needed - before - audio.shape[1])))
        windows = padded[:, :needed].unfold(1, self.n_fft, self.hop)  # (B, frames, n_fft), a view
        step = max(1, WINDOWS_AT_ONCE // len(windows))
        parts = [self._mel(part.double()) for part in windows.split(step, dim=1)]
        return torch.cat(parts, dim=1).to(device)

    def _mel(self, windows: torch.Tensor) -> torch.Tensor:
        power = torch.fft.rfft(windows * self.window.to(windows)).abs().square()
        bands: torch.Tensor = power @ self.filters.to(power)
        return bands.float()


def mel_constants(n_fft: int, bands: int) -> dict[str, torch.Tensor]:
    """The buffers of a PowerMel."""
    return {"window": hann_window(n_fft), "filters": slaney_filters(n_fft, bands)}


def slaney_filters(n_fft: int, bands: int) -> torch.Tensor:
    """(n_fft / 2 + 1, bands): triangles of equal area, from 0 to 8000 Hz.

    Corners are evenly spaced on the scale of Slaney's Auditory Toolbox (1998): 200/3 Hz a mel below
    1000 Hz (15 mel), above it 27 mel for each factor of 6.4. Each triangle's area is 1, in Hz.
    """
    top = 15 + 27 * math.log(SAMPLE_RATE / 2 / 1000) / math.log(6.4)
    mel = torch.linspace(0, top, bands + 2, dtype=torch.float64)
    corners = torch.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    hertz = torch.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (hertz - low) / (peak - low), (high - hertz) / (high - peak)
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)).float()
