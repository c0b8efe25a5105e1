"""The two stages, each as one step over a batch: what the loop runs, keeps and shows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch

from earmark.encoders.dasheng.checkpoint import export_semantic, export_tokenizer, without_weights
from earmark.encoders.dasheng.config import CHUNK_TOKENS, SemanticConfig
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.tokenizer import DashengTokenizer
from earmark.encoders.dasheng.training.config import InjectionTraining, SemanticTraining
from earmark.encoders.dasheng.training.corpus import Crops
from earmark.encoders.dasheng.training.injection import Adversary, Injection, Losses
from earmark.encoders.dasheng.training.masked import MaskedAutoencoder
from earmark.encoders.dasheng.training.optimization import learning_rate, make_optimizer, take_step
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.start import (
    draw_weights,
    fit_head,
    fit_projection,
    measure_bands,
    own_patches,
    start_adversary,
    start_injection,
    start_semantic,
)

MEASURED_ON = 256  # contexts
Drawn = TypeVar("Drawn", covariant=True)


class SemanticStage:
    """Masked autoencoding: trains the semantic path."""

    def __init__(
        self, config: SemanticTraining, sampler: Draws[Crops], processes: Processes
    ) -> None:
        self.config, self.sampler, self.processes = config, sampler, processes
        self.contexts, self.crops = config.batch, 1
        semantic = without_weights(lambda: SemanticPath(config.model)).to_empty(device="cpu")
        start_semantic(semantic, config.seed)
        semantic.band_norm.num_batches_tracked.zero_()  # type: ignore[union-attr]
        self.network = MaskedAutoencoder(semantic, config)
        for part in (self.network.narrow, self.network.blocks, self.network.predict):
            draw_weights(part, config.seed + 1)
        self.network.to(processes.device).train()
        self.shared = processes.shared(self.network)
        self.optimizers = {"network": make_optimizer(self.network, config.optimizer)}
        self.networks: dict[str, torch.nn.Module] = {"network": self.network}

    loss_names = ("masked", "gradient")

    def begin(self) -> None:
        """Before the first step of all: the bands' statistics, the same in every process."""
        draws = measured_on(self.sampler, self.config.steps)
        contexts = (crops.to(self.processes.device) for crops in draws)
        measure_bands(self.network.semantic, contexts)

    def step(self, number: int, crops: Crops) -> Losses:
        rate = learning_rate(self.config.optimizer, number, self.config.steps)
        loss = self.shared(crops.to(self.processes.device), *self._masks(number))
        clip = self.config.optimizer.clip
        norm = take_step(self.optimizers["network"], loss, rate, clip)
        return {"masked": loss.detach(), "gradient": norm}

    def held_out(self, number: int, crops: Crops) -> Losses:
        """The loss on crops that are not trained on."""
        with torch.no_grad():
            return {"masked": self.network(crops.to(self.processes.device), *self._masks(number))}

    def export(self, folder: Path) -> Path:
        """The semantic encoder as a Dasheng `.pt` file."""
        return export_semantic(folder, self.config.model, self.network.semantic)

    def _masks(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Order of patches and first position of this process' crops in one step."""
        length = self.config.crop_tokens
        orders, firsts = [], []
        for i in self.processes.part(self.config.batch):
            rng = np.random.default_rng([self.config.seed, number, i, 1])
            orders.append(rng.permutation(length))
            firsts.append(int(rng.integers(CHUNK_TOKENS - length + 1)))
        order = torch.from_numpy(np.stack(orders)).to(self.processes.device)
        return order, torch.tensor(firsts, device=self.processes.device)


class InjectionStage:
    """Acoustic injection: trains acoustic path and decoder, and the discriminator against them."""

    def __init__(
        self,
        config: InjectionTraining,
        semantic: SemanticPath,
        sizes: SemanticConfig,
        sampler: Draws[Crops],
        processes: Processes,
    ) -> None:
        self.config, self.sampler, self.processes = config, sampler, processes
        self.contexts = config.batch // config.crops_per_context
        self.crops = config.crops_per_context
        self.sizes = config.model.with_semantic(sizes)
        tokenizer = without_weights(lambda: DashengTokenizer(self.sizes, config.precision))
        tokenizer.semantic = semantic
        tokenizer.acoustic.to_empty(device="cpu")
        tokenizer.decoder.to_empty(device="cpu")
        start_injection(tokenizer, config.seed)
        self.network = Injection(tokenizer, config)
        self.prepare(self.network)

    def prepare(self, network: torch.nn.Module) -> None:
        """Everything that trains a network whose forward pass gives decoded, true and losses."""
        config, processes = self.config, self.processes
        self.shared = processes.shared(network.to(processes.device).train())
        self.optimizers = {"network": make_optimizer(network, config.optimizer)}
        self.networks: dict[str, torch.nn.Module] = {"network": network}
        if config.losses.adversary:
            self.adversary = Adversary(config, processes)
            start_adversary(self.adversary, config.seed + 2)
            self.adversary.to(processes.device).train()
            self.judge = processes.shared(self.adversary)
            self.networks["adversary"] = self.adversary
            other = dataclasses.replace(config.optimizer, rate=config.discriminator.rate)
            self.optimizers["adversary"] = make_optimizer(self.adversary, other)

    loss_names = (
        "mel", "semantic", "adversarial", "feature_matching", "discriminator", "total", "gradient",
    )  # fmt: skip

    def begin(self) -> None:
        """Before the first step of all: what can be measured instead of learnt."""
        tokenizer = self.network.tokenizer
        draws = measured_on(self.sampler, self.config.steps)
        contexts = [crops.to(self.processes.device) for crops in draws]
        patches = (own_patches(tokenizer.acoustic, crops) for crops in contexts)
        fit_projection(tokenizer.acoustic.patch_embed, patches, self.config.seed)
        fit_head(tokenizer.decoder.head, contexts)

    def step(self, number: int, crops: Crops) -> Losses:
        config = self.config
        rate = learning_rate(config.optimizer, number, config.steps)
        made, true, losses = self.shared(crops.to(self.processes.device))
        judged: Losses = {}
        if self._judging(number):
            judged = self.judge(made.detach(), true, judging=True)
            share = rate / config.optimizer.rate
            take_step(
                self.optimizers["adversary"], judged["discriminator"],
                share * config.discriminator.rate, config.optimizer.clip,
            )  # fmt: skip
            self.adversary.requires_grad_(False)
            losses |= self.adversary(made, true, judging=False)
            self.adversary.requires_grad_(True)
        total = torch.stack([self._weight(name) * loss for name, loss in losses.items()]).sum()
        norm = take_step(self.optimizers["network"], total, rate, config.optimizer.clip)
        found = losses | judged | {"total": total, "gradient": norm}
        return {name: value.detach() for name, value in found.items()}

    def held_out(self, number: int, crops: Crops) -> Losses:
        """The losses that need no discriminator, on crops that are not trained on."""
        with torch.no_grad():
            return self.networks["network"](crops.to(self.processes.device))[2]  # type: ignore[no-any-return]

    def frozen_digest(self) -> str:
        """SHA-256 (hex) of the frozen encoder's weights."""
        weights = hashlib.sha256()
        for name, tensor in self.network.tokenizer.semantic.state_dict().items():
            weights.update(name.encode() + tensor.cpu().numpy().tobytes())
        return weights.hexdigest()

    def export(self, folder: Path) -> Path:
        """The tokenizer in the released layout."""
        return export_tokenizer(folder, self.sizes, self.network.tokenizer, self.config.export)

    def _judging(self, number: int) -> bool:
        losses = self.config.losses
        return losses.adversary and number >= losses.adversarial_from * self.config.steps

    def _weight(self, name: str) -> float:
        losses = self.config.losses
        return losses.mel.weight if name == "mel" else float(getattr(losses, name))


class Draws(Protocol[Drawn]):
    """A sampler, of whatever kind of crops."""

    def draw(self, step: int, contexts: range, crops: int) -> Drawn: ...


def measured_on(sampler: Draws[Drawn], steps: int) -> Iterator[Drawn]:
    """Contexts that statistics are measured on, the same in every process; not those of a step."""
    return (sampler.draw(steps + i, range(8), 1) for i in range(MEASURED_ON // 8))


Stage = SemanticStage | InjectionStage
