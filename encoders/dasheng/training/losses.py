"""Losses of acoustic injection (arXiv 2602.23765), each a mean over its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torchaudio

from earmark.encoders.dasheng.config import SAMPLE_RATE
from earmark.encoders.dasheng.training.config import MelLossConfig

Features = list[torch.Tensor]


class MultiScaleMel(torch.nn.Module):
    """Mean over scales of the mean absolute difference of log10 mel magnitudes.

    Source: arXiv 2306.06546, section 3.4: windows of 32 to 2048 samples with 5 to 320 bands, hops
    of a quarter. log10 of the squared magnitude, floored; Slaney mel scale with area normalisation
    up to half the sample rate; periodic Hann window. Bands between two bins of the shortest windows
    are empty and add nothing.
    """

    def __init__(self, config: MelLossConfig, sample_rate: int = SAMPLE_RATE) -> None:
        super().__init__()
        self.config = config
        for i, (window, bands) in enumerate(zip(config.windows, config.bands, strict=True)):
            filters = torchaudio.functional.melscale_fbanks(
                window // 2 + 1, 0.0, sample_rate / 2, bands, sample_rate, "slaney", "slaney"
            )
            self.register_buffer(f"window_{i}", torch.hann_window(window), persistent=False)
            self.register_buffer(f"filters_{i}", filters, persistent=False)

    def forward(self, made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Both (B, T) samples -> a scalar."""
        with torch.autocast(made.device.type, enabled=False):
            with torch.no_grad():
                wanted = [self._scale(i, true.float()) for i in range(len(self.config.windows))]
            found = [self._scale(i, made.float()) for i in range(len(self.config.windows))]
            parts = [(m - t).abs().mean() for m, t in zip(found, wanted, strict=True)]
            return torch.stack(parts).mean()

    def _scale(self, i: int, waveforms: torch.Tensor) -> torch.Tensor:
        window, filters = getattr(self, f"window_{i}"), getattr(self, f"filters_{i}")
        size = len(window)
        spectrum = torch.stft(waveforms, size, size // 4, window=window, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        # the root of zero has no gradient
        mel = filters.T @ (power + 1e-4 * self.config.floor**2).sqrt()
        log_mel: torch.Tensor = 2 * mel.clamp(min=self.config.floor).log10()
        return log_mel


def semantic_preservation(acoustic: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
    """Squared L2 between the latents (B, F, D), mean over frames and dimensions."""
    return (acoustic.float() - semantic.float()).square().mean()


def discriminator_hinge(true: Sequence[Features], made: Sequence[Features]) -> torch.Tensor:
    """What the discriminators minimise (arXiv 1705.02894): each one's last layer is its verdict."""
    parts = [
        torch.relu(1 - t[-1].float()).mean() + torch.relu(1 + m[-1].float()).mean()
        for t, m in zip(true, made, strict=True)
    ]
    return torch.stack(parts).mean()


def generator_hinge(made: Sequence[Features]) -> torch.Tensor:
    """What the generator minimises against them."""
    return torch.stack([-features[-1].float().mean() for features in made]).mean()


def feature_matching(
    true: Sequence[Features],
    made: Sequence[Features],
    mean: Callable[[torch.Tensor], torch.Tensor] = lambda magnitudes: magnitudes,
) -> torch.Tensor:
    """Mean L1 between inner layers, each over the mean magnitude of the true one's.

    mean: makes of the magnitudes of one process' part of a batch those of the whole batch.

    Source: arXiv 1910.06711, equation 3; scaled as in arXiv 2210.13438, equation 2.
    """
    pairs = [
        (t.float(), m.float())
        for true_layers, made_layers in zip(true, made, strict=True)
        for t, m in zip(true_layers[:-1], made_layers[:-1], strict=True)
    ]
    magnitudes = mean(torch.stack([t.abs().mean() for t, _ in pairs])).clamp(min=1e-6)
    parts = [(m - t).abs().mean() / size for (t, m), size in zip(pairs, magnitudes, strict=True)]
    return torch.stack(parts).mean()
