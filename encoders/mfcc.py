"""Mel-frequency cepstral coefficients as an encoder."""

from __future__ import annotations

import torch
import torchaudio

from earmark.encoders.logmel import BANDS, STACK, LogMel

COEFFICIENTS = 20


class MFCC(LogMel):
    """The first 20 cepstral coefficients every 10 ms, 4 stacked: 80 dimensions at 25 Hz.

    Orthonormal DCT-II of the 64 log-mel bands of `LogMel` (Davis and Mermelstein, 1980).
    """

    name = "mfcc"
    embedding_dim = COEFFICIENTS * STACK

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "dct", torchaudio.functional.create_dct(COEFFICIENTS, BANDS, norm="ortho")
        )

    def stack(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(B, 64, 4F) log-mel frames of 10 ms -> (B, F, 80)."""
        cepstra = log_mel.transpose(1, 2) @ self.get_buffer("dct")
        return cepstra.reshape(log_mel.shape[0], -1, self.embedding_dim)
