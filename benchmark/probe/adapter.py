"""Transcripts by a frozen language model that hears through a small trained adapter.

As X-ARES 0.1.3 does it: adapter `proj(silu(fc1 x) * fc2 x)` on every frame (SwiGLU, Shazeer 2020,
arXiv 2002.05202), then the model reads the adapted frames, a separator, the text and its end, and
the loss is the cross-entropy of the text and its end. An epoch is chosen by the words that the
model predicts when it is told the right ones before each (cut to the right number of characters);
the test is decoded greedily from the frames alone.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import silu

from earmark.benchmark.metric import word_edits
from earmark.benchmark.probe.heads import Training
from earmark.benchmark.probe.language_model import SEPARATOR, LanguageModel
from earmark.benchmark.probe.search import Chosen, every_epoch
from earmark.benchmark.probe.splits import Split

_IGNORED = -100  # what transformers leaves out of the loss
MOST_TOKENS = 200
REPETITION_PENALTY = 1.1


@dataclass(frozen=True)
class SpellingResult(Chosen):
    """What was chosen for each of S seeds; `validation` is the share of words right when the model
    is told those before. predicted: for each test clip, each seed's text.
    """

    predicted: list[list[str]]


def train_adapters(
    frames: Sequence[NDArray[np.float16]],
    texts: Sequence[str],
    split: Split,
    seeds: Sequence[int],
    training: Training,
    model: LanguageModel,
    on_progress: Callable[[int, int], None] | None = None,
) -> SpellingResult:
    """Train one adapter a seed on the frames (F, D) of a split's clips, and spell its test clips.

    texts: each item's transcript. on_progress(done, total) is called after every step.
    """
    steps = -(-len(split.train) // training.batch_size) * training.epochs
    losses, validation = np.zeros((2, training.epochs, len(seeds)))
    best_epochs = np.zeros(len(seeds), np.int64)
    spelt: list[list[str]] = []
    for column, seed in enumerate(seeds):
        speller = _Speller(frames, texts, model, seed, training.device)
        optimiser = torch.optim.Adam(speller.adapter.parameters(), betas=(0.9, 0.999))
        rng = np.random.default_rng([seed, 1])
        best, kept = -1.0, speller.weights()
        done = column * steps
        for epoch in range(training.epochs):
            for group in optimiser.param_groups:
                group["lr"] = training.rate(epoch)
            batches = _batches(rng.permutation(split.train), training.batch_size)
            for batch in batches:
                optimiser.zero_grad()
                loss = speller.loss(batch)
                loss.backward()
                optimiser.step()
                losses[epoch, column] += loss.item() / len(batches)
                done += 1
                if on_progress is not None:
                    on_progress(done, steps * len(seeds))
            told = [
                text
                for batch in _batches(split.valid, training.batch_size)
                for text in speller.told(batch)
            ]
            quality = _share_right([texts[i] for i in split.valid], told)
            validation[epoch, column] = quality
            if quality > best:
                best, best_epochs[column], kept = quality, epoch, speller.weights()
        speller.adapter.load_state_dict(kept)
        spelt.append(
            [
                text
                for batch in _batches(split.test, training.batch_size)
                for text in speller.spell(batch)
            ]
        )
    predicted = [list(own) for own in zip(*spelt, strict=True)]
    return SpellingResult(
        **vars(every_epoch(training, best_epochs, losses, validation)), predicted=predicted
    )


def _batches(clips: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [clips[i : i + size] for i in range(0, len(clips), size)]


def _share_right(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    edits = [
        word_edits(reference.lower(), text.lower())
        for reference, text in zip(references, hypotheses, strict=True)
    ]
    wrong, words = np.sum(edits, axis=0)
    return max(0.0, float(1 - wrong / words))


class Adapter(nn.Module):
    """(..., D) -> (..., W), by way of two layers of I."""

    def __init__(self, dimension: int, inner: int, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.fc1, self.fc2 = nn.Linear(dimension, inner), nn.Linear(dimension, inner)
            self.proj = nn.Linear(inner, width)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        adapted: torch.Tensor = self.proj(silu(self.fc1(frames)) * self.fc2(frames))
        return adapted


class _Heard(NamedTuple):
    """Adapted frames (B, F, W), zero-padded before adapting, and which are clips' own (B, F)."""

    inputs: torch.Tensor
    mask: torch.Tensor


class _Speller:
    """One seed's adapter before the frozen model."""

    def __init__(
        self,
        frames: Sequence[NDArray[np.float16]],
        texts: Sequence[str],
        model: LanguageModel,
        seed: int,
        device: str,
    ) -> None:
        self.frames, self.texts, self.model, self.device = frames, texts, model, device
        dimension = frames[0].shape[1]
        self.adapter = Adapter(dimension, model.inner_width, model.width, seed).to(device)
        self.end = int(model.tokenizer.eos_token_id)

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.adapter.state_dict().items()}

    def loss(self, batch: NDArray[np.int64]) -> torch.Tensor:
        heard = self._hear(batch)
        tokens, mask = self._read(batch)
        silent = torch.full(heard.mask.shape, _IGNORED, device=self.device)
        wanted = tokens.masked_fill(mask == 0, _IGNORED)
        result = self._run(heard, tokens, mask, torch.cat([silent, wanted], dim=1))
        loss: torch.Tensor = result.loss
        return loss

    @torch.no_grad()
    def told(self, batch: NDArray[np.int64]) -> list[str]:
        """What the model says at each place of the right text when it is told what is before."""
        heard = self._hear(batch)
        tokens, mask = self._read(batch)
        logits = self._run(heard, tokens, mask, None).logits
        said = logits[:, heard.inputs.shape[1] :].argmax(dim=2)
        texts = self.model.tokenizer.batch_decode(said, skip_special_tokens=True)
        return [text[: len(self.texts[i])] for i, text in zip(batch, texts, strict=True)]

    @torch.no_grad()
    def spell(self, batch: NDArray[np.int64]) -> list[str]:
        heard = self._hear(batch)
        (separator,) = self.model.token_lists([SEPARATOR])
        tokens = torch.tensor([separator] * len(batch), device=self.device)
        with self._precision(), warnings.catch_warnings():
            # that the penalty counts what was generated only; it is what is wanted
            warnings.filterwarnings("ignore", "Passing `repetition_penalty`")
            said = self.model.network.generate(
                inputs_embeds=torch.cat([heard.inputs, self.model.embed(tokens)], dim=1),
                attention_mask=torch.cat([heard.mask, torch.ones_like(tokens)], dim=1),
                max_new_tokens=MOST_TOKENS, repetition_penalty=REPETITION_PENALTY,
                do_sample=False, temperature=None, top_p=None, top_k=None,
                eos_token_id=self.end, pad_token_id=self.end,
            )  # fmt: skip
        found: list[str] = self.model.tokenizer.batch_decode(said, skip_special_tokens=True)
        return found

    def _hear(self, batch: NDArray[np.int64]) -> _Heard:
        own = [torch.from_numpy(np.array(self.frames[i], np.float32)) for i in batch]
        padded = nn.utils.rnn.pad_sequence(own, batch_first=True).to(self.device)
        lengths = torch.tensor([len(one) for one in own])
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long().to(self.device)
        # in full precision, as X-ARES has it: in half, without loss scaling, gradients would vanish
        return _Heard(self.adapter(padded), mask)

    def _read(self, batch: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Separator, text and end as tokens (B, T), and which of them are no padding."""
        whole = [f"{SEPARATOR}{self.texts[i]}" for i in batch]
        lists = [[*tokens, self.end] for tokens in self.model.token_lists(whole)]
        tokens = torch.full((len(lists), max(map(len, lists))), self.end)
        mask = torch.zeros_like(tokens)
        for row, own in enumerate(lists):
            tokens[row, : len(own)] = torch.tensor(own)
            mask[row, : len(own)] = 1
        return tokens.to(self.device), mask.to(self.device)

    def _run(
        self, heard: _Heard, tokens: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor | None
    ) -> Any:
        with self._precision():
            return self.model.network(
                inputs_embeds=torch.cat([heard.inputs, self.model.embed(tokens)], dim=1),
                attention_mask=torch.cat([heard.mask, mask], dim=1),
                labels=labels,
            )

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        """Half precision on a GPU, as X-ARES computes there; float32 on a CPU."""
        on_gpu = self.device.startswith("cuda")
        return torch.autocast("cuda") if on_gpu else contextlib.nullcontext()
