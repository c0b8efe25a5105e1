"""A log-mel spectrogram as an encoder file for X-ARES: plain torch, so that versions of torch and
torchaudio far apart compute the same. Its frames depend on the clip's length alone."""

import math

import torch

SAMPLE_RATE = 16_000
N_FFT = 512
HOP = 160  # samples: 10 ms
BANDS = 64
STACK = 4
FLOOR = 1e-5


def _mel(hertz: float) -> float:
    """O'Shaughnessy 1987, as in HTK."""
    return 2595 * math.log10(1 + hertz / 700)


def _bands() -> torch.Tensor:
    """Triangular filters, (BANDS, N_FFT // 2 + 1), evenly spaced on the mel scale."""
    mels = torch.linspace(0, _mel(SAMPLE_RATE / 2), BANDS + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = torch.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


class SpectrumEncoder(torch.nn.Module):
    """(B, samples) -> (B, frames, 256): 64 log-mel bands every 10 ms, 4 frames stacked."""

    sampling_rate = SAMPLE_RATE
    output_dim = BANDS * STACK
    hop_size_in_ms = 1000 * HOP * STACK / SAMPLE_RATE

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT))
        self.register_buffer("bands", _bands())

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        frames = max(1, audio.shape[1] // (HOP * STACK))
        needed = frames * STACK * HOP
        edge = (N_FFT - HOP) // 2
        missing = max(0, needed + edge - audio.shape[1])
        audio = torch.nn.functional.pad(audio, (edge, missing))[:, : needed + 2 * edge]
        spectrum = torch.stft(
            audio, N_FFT, HOP, window=self.window, center=False, return_complex=True
        )
        power = torch.matmul(self.bands, spectrum.abs().square())
        features = power.clamp(min=FLOOR).log().transpose(1, 2)
        return features.reshape(len(audio), frames, self.output_dim)
