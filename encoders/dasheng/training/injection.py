"""Stage 2: an acoustic path and a decoder, trained on a frozen semantic path (arXiv 2602.23765)."""

from __future__ import annotations

import torch

from earmark.encoders.dasheng.mel import token_counts
from earmark.encoders.dasheng.precision import autocast
from earmark.encoders.dasheng.tokenizer import ACOUSTIC, SEMANTIC, DashengTokenizer
from earmark.encoders.dasheng.training.config import UNIFIED_NAME, InjectionTraining
from earmark.encoders.dasheng.training.corpus import TOKEN_SAMPLES, Crops
from earmark.encoders.dasheng.training.discriminator import MultiFrequencyDiscriminator
from earmark.encoders.dasheng.training.losses import (
    Features,
    MultiScaleMel,
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    semantic_preservation,
)
from earmark.encoders.dasheng.training.processes import Processes

Losses = dict[str, torch.Tensor]


class Injection(torch.nn.Module):
    """The tokenizer in training: contexts in, crops decoded, and their losses.

    The semantic path sees each context whole, as it would see the clip's chunk when the model is
    used; decoder and losses see the crops. What a latent does not need is neither run nor trained.
    """

    def __init__(self, tokenizer: DashengTokenizer, config: InjectionTraining) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.config = config
        self.mel = MultiScaleMel(config.losses.mel)
        tokenizer.requires_grad_(False)
        tokenizer.decoder.requires_grad_(True)
        if config.latent != SEMANTIC:
            tokenizer.acoustic.patch_embed.requires_grad_(True)
            tokenizer.acoustic.norm.requires_grad_(True)

    def train(self, mode: bool = True) -> Injection:
        """As any module's, but that the frozen path's batch norm keeps its running statistics."""
        super().train(mode)
        self.tokenizer.semantic.eval()
        return self

    def forward(self, crops: Crops) -> tuple[torch.Tensor, torch.Tensor, Losses]:
        """Decoded and true crops, (N, samples) each, and the losses that need no discriminator."""
        latent = self.config.latent
        lengths = crops.lengths
        frames = token_counts(lengths)
        counts = frames.tolist()
        tokenizer, losses = self.tokenizer, {}
        with autocast(crops.waveforms.device, self.config.precision):
            parts: Losses = {}
            if latent != ACOUSTIC:
                with torch.no_grad():
                    parts[SEMANTIC] = tokenizer.semantic(crops.waveforms, lengths, counts)
            if latent != SEMANTIC:
                parts[ACOUSTIC] = tokenizer.acoustic(crops.waveforms, lengths, max(counts))
            own = {name: self._crop(part, crops.starts) for name, part in parts.items()}
            if latent == UNIFIED_NAME and self.config.losses.semantic > 0:
                losses["semantic"] = semantic_preservation(own[ACOUSTIC], own[SEMANTIC])
            mixed = torch.stack(list(own.values())).sum(0)
            whole = torch.full((len(mixed),), mixed.shape[1], device=mixed.device)
            made = tokenizer.decoder(mixed.float(), whole)
        true = crops.waveforms.unfold(1, made.shape[1], TOKEN_SAMPLES)
        rows = torch.arange(len(true), device=true.device)[:, None]
        true = true[rows, crops.starts].flatten(0, 1)
        if self.config.losses.mel.weight > 0:
            losses["mel"] = self.mel(made, true)
        return made, true, losses

    def _crop(self, latents: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """(C, F, D) at (C, K) places -> (C x K, L, D)."""
        places = starts[:, :, None] + torch.arange(self.config.crop_tokens, device=starts.device)
        rows = torch.arange(len(latents), device=starts.device)[:, None, None]
        return latents[rows, places].flatten(0, 1)


class Adversary(torch.nn.Module):
    """The discriminator's side: what it loses, and what it makes of decoded crops."""

    def __init__(self, config: InjectionTraining, processes: Processes) -> None:
        super().__init__()
        self.config, self.processes = config, processes
        self.network = MultiFrequencyDiscriminator(config.discriminator)

    def forward(self, made: torch.Tensor, true: torch.Tensor, *, judging: bool) -> Losses:
        """judging: its own loss, on crops that carry no gradient; else those of the generator."""
        with autocast(made.device, self.config.precision):
            both = self.network(torch.cat([made, true]))
        of_made: list[Features] = [[layer.chunk(2)[0] for layer in part] for part in both]
        of_true: list[Features] = [[layer.chunk(2)[1] for layer in part] for part in both]
        if judging:
            return {"discriminator": discriminator_hinge(of_true, of_made)}
        of_true = [[layer.detach() for layer in part] for part in of_true]
        weights, losses = self.config.losses, {}
        if weights.adversarial > 0:
            losses["adversarial"] = generator_hinge(of_made)
        if weights.feature_matching > 0:
            losses["feature_matching"] = feature_matching(of_true, of_made, self.processes.mean)
        return losses
