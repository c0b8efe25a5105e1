"""What acoustic injection trains on an encoder: acoustic projection, decoder; and its scales."""

from __future__ import annotations

from dataclasses import replace

import torch

from earmark.encoders.dasheng.acoustic import MAGNITUDE_FLOOR, NORM_EPS
from earmark.encoders.dasheng.decoder import Decoder
from earmark.encoders.dasheng.mel import WINDOWS_AT_ONCE, hann_window, htk_filters
from earmark.encoders.injection.geometry import Geometry


class PlacedAcoustic(torch.nn.Module):
    """The acoustic path of arXiv 2602.23765, its mel windows where an encoder's frames lie.

    Natural logarithm of mel magnitudes (HTK scale, peaks of 1), the mel frames of one latent frame
    as a vector, one linear layer, layer norm. Beyond its own ends a clip is silent.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.patch_frames = geometry.patch_frames
        size, bands = geometry.mel_fft, geometry.n_mels_patch
        self.register_buffer("window", hann_window(size), persistent=False)
        filters = htk_filters(size, bands, geometry.sample_rate)
        self.register_buffer("filters", filters, persistent=False)
        self.patch_embed = torch.nn.Linear(bands * self.patch_frames, geometry.embed_dim)
        self.norm = torch.nn.LayerNorm(geometry.embed_dim, eps=NORM_EPS)

    def forward(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """waveforms: (B, T); lengths: (B,) samples; places: (B, F x patch_frames) samples on which
        windows are centred. Returns (B, F, D)."""
        return self.norm(self.patch_embed(self.patches(waveforms, lengths, places)))  # type: ignore[no-any-return]

    def patches(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """The same -> (B, F, patch_frames x bands), always in float32."""
        size = len(self.window)
        own = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
        audio = torch.nn.functional.pad(waveforms.float().where(own, 0.0), (size // 2, size))
        # a window that begins half its size before a sample is at that sample of what is padded
        starts = places.clamp(0, waveforms.shape[1] + size // 2)
        step = max(1, WINDOWS_AT_ONCE // len(audio))
        with torch.autocast(waveforms.device.type, enabled=False):
            parts = [self._mel(audio, part) for part in starts.split(step, dim=1)]
            log_mel = torch.cat(parts, dim=1).clamp(min=MAGNITUDE_FLOOR).log()
        patches: torch.Tensor = log_mel.unflatten(1, (-1, self.patch_frames)).flatten(2)
        return patches

    def _mel(self, audio: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """Windows that begin at `starts` (B, N) of (B, T') -> (B, N, bands)."""
        steps = torch.arange(len(self.window), device=audio.device)
        rows = torch.arange(len(audio), device=audio.device)[:, None, None]
        windows = audio[rows, starts[:, :, None] + steps]
        mel: torch.Tensor = torch.fft.rfft(windows * self.window).abs() @ self.filters
        return mel


class Parts(torch.nn.Module):
    """Scales, acoustic path and decoder.

    mean, deviation: (D,) of the frozen encoder's frames on a part of the training audio. Its frames
    count as (frame - mean) / deviation, so that they stand beside the acoustic path's as equals
    whatever the encoder's numbers are like.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.register_buffer("mean", torch.zeros(geometry.embed_dim))
        self.register_buffer("deviation", torch.ones(geometry.embed_dim))
        self.acoustic = PlacedAcoustic(geometry)
        self.decoder = Decoder(replace(geometry, upsample_tokens=max(1, geometry.upsample_tokens)))

    def scaled(self, frames: torch.Tensor) -> torch.Tensor:
        """The frozen encoder's frames (B, F, D) as the semantic latent, float32."""
        return (frames.float() - self.mean) / self.deviation

    def decode(
        self, latents: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (B, F, D) with lengths (B,) -> samples (B, T) float32, and (B,) how many."""
        samples = self.geometry.samples_of(lengths)
        if not self.geometry.upsample_tokens:
            latents, lengths = self.placed(latents, lengths)
        return self.decoder(latents.float(), lengths)[:, : int(samples.max())], samples

    def placed(
        self, latents: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents interpolated linearly to the centres of decoder frames; ends are held."""
        ratio = self.geometry.istft_hop / self.geometry.frame_samples  # latent frames a decoder's
        counts = (self.geometry.samples_of(lengths) / self.geometry.istft_hop).ceil().long()
        centres = (torch.arange(int(counts.max()), device=latents.device) + 0.5) * ratio - 0.5
        last = (lengths.to(latents.device) - 1)[:, None]
        low = centres.floor().long()[None]
        share = (centres - centres.floor())[None, :, None].to(latents.dtype)
        rows = torch.arange(len(latents), device=latents.device)[:, None]
        before = latents[rows, low.clamp(min=0).minimum(last)]
        after = latents[rows, (low + 1).clamp(min=0).minimum(last)]
        return torch.lerp(before, after, share), counts
