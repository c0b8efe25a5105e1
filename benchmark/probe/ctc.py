"""Transcripts: connectionist temporal classification (Graves et al. 2006), decoded greedily."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.metric import character_edits, word_edits
from earmark.benchmark.probe.ctc_loss import BLANK, ctc, steps_needed
from earmark.benchmark.probe.frames import Span
from earmark.benchmark.shards.annotations import ALPHABET

SYMBOLS = 1 + len(ALPHABET)  # the blank, then ALPHABET in order
RATE_HZ = 50  # so many outputs a second at least: people speak some 15 letters a second
_BUCKET = 50  # batches whose clips are sorted by length, so that a batch holds similar ones


class CTCObjective:
    """Letters in order, without saying when.

    A frame of the encoder has as many sub-frames as reach 50 Hz, each with an output for every
    symbol. A clip with fewer sub-frames than its transcript needs adds nothing to the loss.

    texts: each item's transcript, of ALPHABET; lengths: each item's number of frames.
    """

    def __init__(self, texts: Sequence[str], lengths: Sequence[int], frame_rate: float) -> None:
        self.texts, self.lengths = texts, lengths
        self.sub_frames = max(1, math.ceil(RATE_HZ / frame_rate))
        self.outputs = self.sub_frames * SYMBOLS
        self.targets = [[1 + ALPHABET.index(letter) for letter in text] for text in texts]

    def batches(
        self, clips: NDArray[np.int64], size: int, rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Batches of clips of similar length, in random order."""
        order = rng.permutation(clips)
        batches = []
        for start in range(0, len(order), size * _BUCKET):
            bucket = order[start : start + size * _BUCKET]
            bucket = bucket[np.argsort([self.lengths[i] for i in bucket], kind="stable")]
            batches += [bucket[i : i + size] for i in range(0, len(bucket), size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def blocks(self, batch: NDArray[np.int64]) -> Iterator[list[Span]]:
        yield [Span(clip, 0, self.lengths[clip]) for clip in batch.tolist()]

    def slope(
        self,
        logits: torch.Tensor,
        block: list[Span],
        batch: NDArray[np.int64],
        *,
        with_loss: bool = True,
    ) -> tuple[torch.Tensor, NDArray[np.float64]]:
        """The loss is each clip's by letter of its transcript, its mean over the batch."""
        seeds = logits.shape[1]
        values = logits.detach().cpu().numpy()
        spans = [span.stop - span.start for span in block]
        targets = [self.targets[span.clip] for span in block]
        steps = max(spans) * self.sub_frames
        padded = np.zeros((steps, len(block), seeds, SYMBOLS), values.dtype)
        slope = np.empty_like(values)
        # the same numbers as (frames, sub-frames, S, symbols), clip by clip
        ends = np.cumsum(spans)[:-1]
        shape = (-1, seeds, self.sub_frames, SYMBOLS)
        for i, part in enumerate(np.split(values, ends)):
            own = padded[: spans[i] * self.sub_frames, i]
            own.reshape(-1, self.sub_frames, seeds, SYMBOLS)[:] = part.reshape(shape).swapaxes(1, 2)
        each, gradient = ctc(
            padded.reshape(steps, -1, SYMBOLS),
            [n * self.sub_frames for n in spans for _ in range(seeds)],
            [target for target in targets for _ in range(seeds)],
        )
        sizes = np.array([len(target) for target in targets])
        gradient = gradient.reshape(padded.shape)
        for i, part in enumerate(np.split(slope, ends)):
            own = gradient[: spans[i] * self.sub_frames, i] / (sizes[i] * len(block))
            own = own.reshape(-1, self.sub_frames, seeds, SYMBOLS)
            part.reshape(shape)[:] = own.swapaxes(1, 2)
        by_seed = (each.reshape(len(block), seeds) / sizes[:, None]).mean(axis=0)
        return torch.from_numpy(slope).to(logits.device), by_seed

    def extent(self, clip: int) -> int:
        return self.lengths[clip]

    def fits(self, clip: int) -> bool:
        """Whether a clip has the sub-frames that its transcript takes, and can teach anything."""
        return self.lengths[clip] * self.sub_frames >= steps_needed(self.targets[clip])

    def decide(self, logits: torch.Tensor) -> NDArray[np.int64]:
        symbols = logits.unflatten(2, (self.sub_frames, SYMBOLS)).argmax(dim=3)
        best: NDArray[np.int64] = symbols.cpu().numpy()
        return best

    def decode(self, decided: NDArray[Any], clip: int) -> list[str]:
        """Each seed's transcript: runs of a symbol are one, blanks fall out."""
        return [greedy(symbols.reshape(-1)) for symbols in decided.transpose(1, 0, 2)]

    def quality(self, predicted: list[list[Any]], clips: NDArray[np.int64]) -> list[Any]:
        """Right letters, max(0, 1 - CER), of all clips together; where that is equal, right words.

        As long as nearly every word has a wrong letter, words are a coarse step function: on 40
        real utterances they wavered between 0.002 and 0.011 while the training loss kept falling.
        """
        found = []
        for hypotheses in zip(*predicted, strict=True):
            pairs = [(self.texts[i], text) for i, text in zip(clips, hypotheses, strict=True)]
            wer, cer = (
                np.sum([count(*pair) for pair in pairs], axis=0)
                for count in (word_edits, character_edits)
            )
            found.append((max(0.0, 1 - cer[0] / cer[1]), 1 - wer[0] / wer[1]))
        return found


def greedy(symbols: NDArray[np.int64]) -> str:
    """Text of the best symbol at every time (T,)."""
    first = np.append(True, symbols[1:] != symbols[:-1])
    letters = (ALPHABET[symbol - 1] for symbol in symbols[first & (symbols != BLANK)])
    return " ".join("".join(letters).split())
