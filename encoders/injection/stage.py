"""Acoustic injection as a stage of training: one step over a batch of crops."""

from __future__ import annotations

from pathlib import Path

import torch

from earmark.encoders.dasheng.precision import autocast
from earmark.encoders.dasheng.tokenizer import ACOUSTIC, SEMANTIC
from earmark.encoders.dasheng.training.config import UNIFIED_NAME, InjectionTraining
from earmark.encoders.dasheng.training.injection import Losses
from earmark.encoders.dasheng.training.losses import MultiScaleMel, semantic_preservation
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.stages import InjectionStage, measured_on
from earmark.encoders.dasheng.training.start import (
    draw_weights,
    fit_head,
    fit_projection,
    start_decoder,
)
from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.injection.geometry import Geometry
from earmark.encoders.injection.parts import Parts
from earmark.encoders.injection.sampler import PieceSampler, PlacedCrops
from earmark.encoders.injection.saved import save, weights_digest

_LEAST = 1e-4  # of the mean deviation: what varies less is not blown up


class InjectionInto(torch.nn.Module):
    """What is trained, in training: crops in, decoded crops and their losses out."""

    def __init__(self, parts: Parts, config: InjectionTraining, margin: int) -> None:
        super().__init__()
        self.parts, self.config, self.margin = parts, config, margin
        self.mel = MultiScaleMel(config.losses.mel, parts.geometry.sample_rate)
        if config.latent == SEMANTIC:
            parts.acoustic.requires_grad_(False)

    def forward(self, crops: PlacedCrops) -> tuple[torch.Tensor, torch.Tensor, Losses]:
        """Decoded and true crops, (N, samples) each, and the losses that need no discriminator."""
        latent, losses = self.config.latent, self.config.losses
        found: Losses = {}
        with autocast(crops.waveforms.device, self.config.precision):
            own: Losses = {}
            if latent != ACOUSTIC:
                own[SEMANTIC] = self.parts.scaled(crops.frames)
            if latent != SEMANTIC:
                own[ACOUSTIC] = self.parts.acoustic(crops.waveforms, crops.lengths, crops.places)
            if latent == UNIFIED_NAME and losses.semantic > 0:
                found["semantic"] = semantic_preservation(own[ACOUSTIC], own[SEMANTIC])
            mixed = torch.stack([one.float() for one in own.values()]).sum(0)
            whole = torch.full((len(mixed),), mixed.shape[1], device=mixed.device)
            made, _ = self.parts.decode(mixed, whole)
        true = crops.waveforms[:, self.margin : self.margin + made.shape[1]]
        if losses.mel.weight > 0:
            found["mel"] = self.mel(made, true)
        return made, true, found


class InjectionIntoStage(InjectionStage):
    """Trains acoustic path and decoder on a frozen encoder whose frames are there already."""

    def __init__(
        self,
        config: InjectionTraining,
        encoder: AudioEncoder,
        semantic: str,
        geometry: Geometry,
        sampler: PieceSampler,
        processes: Processes,
    ) -> None:
        self.config, self.processes = config, processes
        self.contexts = config.batch // config.crops_per_context
        self.crops = config.crops_per_context
        self.encoder, self.semantic, self.placed = encoder, semantic, sampler
        self.parts = Parts(geometry)
        draw_weights(self.parts.acoustic, config.seed)
        start_decoder(self.parts.decoder, config.seed + 1)
        self.prepare(InjectionInto(self.parts, config, sampler.margin))

    def begin(self) -> None:
        """Before the first step of all: what can be measured instead of learnt."""
        device = self.processes.device
        crops = [one.to(device) for one in measured_on(self.placed, self.config.steps)]
        frames = torch.cat([one.frames.flatten(0, 1) for one in crops]).cpu().double()
        deviation = frames.std(0, correction=0)
        # a dimension that never changes says nothing, whatever it is divided by
        least = _LEAST * float(deviation.mean()) or 1.0
        self.parts.mean.copy_(frames.mean(0))
        self.parts.deviation.copy_(deviation.where(deviation > least, 1.0))
        acoustic = self.parts.acoustic
        with torch.no_grad():
            patches = [
                acoustic.patches(one.waveforms, one.lengths, one.places).flatten(0, 1)
                for one in crops
            ]
        fit_projection(acoustic.patch_embed, patches, self.config.seed)
        fit_head(self.parts.decoder.head, crops)

    def frozen_digest(self) -> str:
        return weights_digest(self.encoder)

    def export(self, folder: Path) -> Path:
        """What was trained, and which encoder it goes with."""
        config = self.config
        return save(folder, self.parts, self.encoder, self.semantic, config.latent, config.export)
