"""Encoder files written for X-ARES."""

from __future__ import annotations

# In the manner of X-ARES' examples: facts set on the instance, one or two dimensions taken.
XARES = """\
import torch


class Block(torch.nn.Module):
    pass


class {name}(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.sampling_rate = 16000
        self.output_dim = 8
        self.hop_size_in_ms = 40
        self.layer = torch.nn.Linear(640, 8)
        torch.nn.init.constant_(self.layer.weight, {weight})

    def forward(self, audio):
        if audio.ndim == 1:
            audio = audio.unsqueeze(0)
        short = -audio.shape[-1] % 640
        audio = torch.nn.functional.pad(audio, (0, short))
        return self.layer(audio.view(len(audio), -1, 640))
"""
