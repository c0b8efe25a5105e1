"""CLAP (Wu et al. 2023, arXiv 2211.06687): HTS-AT trained to agree with captions.

Its text tower is in `earmark.encoders.baselines.clap_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    check_loaded,
    forget_place,
    load_checkpoint,
    plain_config,
    shown_name,
)
from earmark.encoders.baselines.pieces import PASS_SECONDS, Outputs, cut, join_pieces
from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.family import full_name
from earmark.encoders.shared import OutputEncoder, SharedPass

CLIP, FRAMES, GRID = "", "frames", "grid"
POWER_FLOOR = 1e-10
_AUDIO: dict[str, Any] = {
    "hidden_size": 768, "depths": [2, 2, 6, 2], "num_attention_heads": [4, 8, 16, 32],
    "patch_embeds_hidden_size": 96, "num_mel_bins": 64, "spec_size": 256,
}  # fmt: skip
# No commit is known here by its hash.
CHECKPOINT = Checkpoint(
    "clap", "laion/clap-htsat-unfused", None, "clap",
    {f"audio_config.{key}": value for key, value in _AUDIO.items()} | {"projection_dim": 512},
)  # fmt: skip
TEXT_PARTS = ("text_model.", "text_projection.", "logit_scale_")
AUDIO_PARTS = ("audio_model.", "audio_projection.", "logit_scale_")


class ClapPass(SharedPass):
    """Windows of 10 s at 48 kHz; outputs "" (a vector a clip), "frames" and "grid".

    "" is the vector that is compared with captions, of length 1 for a window: of clips longer than
    10 s the mean over the windows at 0, 10, 20 s ..., each by its share of the clip. (The published
    code takes one window at random.) "frames" are the columns of the last feature map, mean over
    its two bands, at 3.2 Hz; "grid" has the bands one after the other, lower first. A window that
    is shorter is repeated as often as it fits in whole and then filled up with zeros, as in
    training; its frames are kept that begin within the clip.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, model: Any, extractor: Any, facts: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        forget_place(model)
        config = model.config
        self.facts: dict[str, Any] = {"model": facts, "hop": int(extractor.hop_length)}
        self.sample_rate, self.hop = int(extractor.sampling_rate), int(extractor.hop_length)
        self.samples = int(extractor.nb_max_samples)  # of a window
        self.width, self.vector = int(config.hidden_size), int(config.projection_dim)
        # the spectrogram's quarters are laid one upon the other to a square, which four stages
        # make eight times coarser than its patches
        ratio = config.spec_size // config.num_mel_bins
        side = config.spec_size // config.patch_stride[0] // 2 ** (len(config.depths) - 1)
        self.columns, self.bands = side * ratio, side // ratio
        self.column = self.samples // self.columns  # samples
        self.register_buffer("window", torch.hann_window(int(extractor.fft_window_size)))
        self.register_buffer("filters", torch.from_numpy(extractor.mel_filters_slaney).float())

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        windows, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            for start, stop in cut(length, self.samples):
                windows.append(waveform[start:stop])
                owners.append(owner)
        found: list[Outputs] = []
        for start, stop in cut(len(windows), PASS_SECONDS * self.sample_rate // self.samples):
            found += self._run(windows[start:stop])
        frames = join_pieces(owners, found, [output for output in outputs if output])
        if CLIP in outputs:
            frames[CLIP] = self._clips(windows, owners, [one[CLIP] for one in found])
        return frames

    def _clips(
        self,
        windows: Sequence[torch.Tensor],
        owners: Sequence[int],
        vectors: Sequence[torch.Tensor],
    ) -> Frames:
        """A clip's vector: the mean of its windows' (1, D) by their share of it."""
        total = vectors[0].new_zeros(max(owners) + 1, 1, self.vector)
        samples = vectors[0].new_zeros(len(total), 1, 1)
        for window, owner, vector in zip(windows, owners, vectors, strict=True):
            total[owner] += len(window) * vector
            samples[owner] += len(window)
        ones = torch.ones(len(total), dtype=torch.long, device=total.device)
        return Frames(total / samples, ones)

    def _run(self, windows: Sequence[torch.Tensor]) -> list[Outputs]:
        mels = self.log_mel(torch.stack([self.filled(window) for window in windows]))
        found = self.model(input_features=mels[:, None])
        vectors = torch.nn.functional.normalize(found.audio_embeds, dim=-1)
        grid = found.last_hidden_state.permute(0, 3, 2, 1)  # (B, columns, bands, D)
        made = []
        for row, window in enumerate(windows):
            own = grid[row, : -(-len(window) // self.column)]
            made.append({CLIP: vectors[row, None], FRAMES: own.mean(1), GRID: own.flatten(1)})
        return made

    def filled(self, window: torch.Tensor) -> torch.Tensor:
        """(n,) samples, n up to 10 s -> 10 s: repeated in whole, then zeros."""
        repeated = window.repeat(self.samples // len(window))
        return torch.nn.functional.pad(repeated, (0, self.samples - len(repeated)))

    def log_mel(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, T) -> (B, 1 + T // 480, 64) dB: centred, ends mirrored, Slaney's bands and norm."""
        size = len(self.window)
        spectrum = torch.stft(
            audio, size, self.hop, window=self.window, pad_mode="reflect", return_complex=True
        )
        power = spectrum.abs().square().transpose(1, 2) @ self.filters
        return 10 * power.clamp(min=POWER_FLOOR).log10()


class ClapEncoder(OutputEncoder):
    """One output of a ClapPass."""

    libraries: ClassVar[tuple[str, ...]] = ("transformers",)
    honours_lengths = True

    def __init__(self, shared: ClapPass, family: str, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name(family, output)
        self.sample_rate = shared.sample_rate
        self.frame_rate = None if output == CLIP else shared.sample_rate / shared.column
        bands = shared.bands if output == GRID else 1
        self.embedding_dim = shared.vector if output == CLIP else shared.width * bands
        self.config = shared.facts


def load(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """LAION's CLAP for general audio of up to 10 s, without feature fusion."""
    shared = load_checkpoint(CHECKPOINT, _pass, weights)
    name = shown_name(CHECKPOINT, shared.facts["model"])
    return [ClapEncoder(shared, name, output) for output in dict.fromkeys(outputs)]


def _pass(source: str, **options: Any) -> ClapPass:
    import transformers

    extractor = transformers.ClapFeatureExtractor.from_pretrained(source, **options)
    config: Any = transformers.ClapConfig.from_pretrained(source, **options)
    if config.audio_config.enable_fusion or extractor.truncation == "fusion":
        raise UnfitError(
            "it fuses windows that are drawn at random: no two runs would agree; give one without "
            "feature fusion"
        )
    if extractor.padding != "repeatpad":
        raise UnfitError(f"its padding is {extractor.padding!r}; only 'repeatpad' is known")
    loaded: Any = transformers.ClapAudioModelWithProjection.from_pretrained(
        source, config=config.audio_config, use_safetensors=True, dtype=torch.float32,
        output_loading_info=True, **options,
    )  # fmt: skip
    model, info = loaded
    check_loaded(info, CHECKPOINT.name, unused=("relative_position_index",), heads=TEXT_PARTS)
    facts = plain_config(config)
    return ClapPass(model, extractor, facts)
