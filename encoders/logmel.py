"""Log-mel spectrogram as an encoder: the floor every learned encoder must beat."""

from __future__ import annotations

import torch
import torchaudio

from earmark.encoders.encoder import AudioEncoder, Frames

HOP = 160  # samples: 10 ms at 16 kHz
STACK = 4  # 10 ms frames in one output frame
N_FFT = 512
WINDOW = 400  # samples: 25 ms
BANDS = 64
POWER_FLOOR = 1e-5  # about 90 dB below a full-scale sine in its band


class LogMel(AudioEncoder):
    """64 log-mel bands every 10 ms, 4 consecutive frames stacked: 256 dimensions at 25 Hz.

    Power mel spectrogram (Hann window of 25 ms, FFT of 512, HTK bands from 0 to 8000 Hz),
    natural logarithm after a floor of 1e-5. Window i is centred on the i-th 10 ms of the clip and
    samples beyond its ends count as zero. The last 40 ms are dropped where incomplete; a clip
    shorter than 40 ms gives one frame, zero-padded.
    """

    name = "logmel"
    sample_rate = 16_000
    embedding_dim = BANDS * STACK
    frame_rate = 16_000 / (HOP * STACK)
    honours_lengths = True
    libraries = ("torchaudio",)

    def __init__(self) -> None:
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=self.sample_rate, n_fft=N_FFT, win_length=WINDOW, hop_length=HOP,
            n_mels=BANDS, center=False,
        )  # fmt: skip

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        stride = HOP * STACK
        frames = (lengths // stride).clamp(min=1)
        needed = int(frames.max()) * stride
        edge = (N_FFT - HOP) // 2
        missing = max(0, needed + edge - waveforms.shape[1])
        audio = torch.nn.functional.pad(waveforms, (edge, missing))[:, : needed + 2 * edge]
        log_mel = self.mel(audio).clamp(min=POWER_FLOOR).log()
        return Frames(self.stack(log_mel), frames)

    def stack(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(B, 64, 4F) log-mel frames of 10 ms -> (B, F, 256), oldest first in each stack."""
        return log_mel.transpose(1, 2).reshape(log_mel.shape[0], -1, self.embedding_dim)
