"""Out of memory on the GPU: batches are halved, nothing is lost, and the numbers are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from gpu_encoder import codecs, full, noise
from gpu_record import AT_LEAST, Figure, Measured, Settings, relative_error
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.embedding.batches import Want, encode_batch
from earmark.benchmark.embedding.windows import whole
from earmark.encoders import Frames
from earmark.encoders.dasheng import TokenizerCodec
from earmark.encoders.dasheng.config import SAMPLE_RATE
from earmark.encoders.dasheng.tokenizer import DashengTokenizer

CLIPS = 32
# a batch of another size may take other kernels, whose sums are in another order
SAME = {"fp32": 1e-5, "bf16": 1e-2}


class Counter:
    """Counts a network's forward passes and those that ran out of memory.

    most: how many clips there is made-up room for; None: the device's own limit counts.
    """

    def __init__(self, network: DashengTokenizer, most: int | None = None) -> None:
        self.encode, self.most = network.encode_outputs, most
        self.sizes: list[int] = []
        self.failed = 0

    def __call__(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        self.sizes.append(len(waveforms))
        try:
            if self.most is not None and len(waveforms) > self.most:
                raise torch.OutOfMemoryError(f"made up: more than {self.most} clips")
            return self.encode(waveforms, lengths, outputs)
        except torch.OutOfMemoryError:
            self.failed += 1
            raise


def measure(settings: Settings) -> Measured:
    """A limit between what half a batch needs and what the whole one needs, then embed the whole.

    On a CPU, which has no such limit, the error is made up.
    """
    (encoder,) = codecs(full(settings))
    encoder.to(settings.device)
    network = encoder.shared
    assert isinstance(network, DashengTokenizer)
    clips, seconds = (8, 1) if settings.tiny else (CLIPS, 10)
    crops = [noise(seconds * SAMPLE_RATE, seed) for seed in range(clips)]
    if settings.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # as a run does
    for precision in ("fp32", "bf16") if settings.device == "cuda" else ("fp32",):
        network.precision = precision
        yield from recover(encoder, crops, settings, precision)


def recover(
    encoder: TokenizerCodec, crops: list[Samples], settings: Settings, precision: str
) -> Measured:
    """With room for all, the halves with room, and all of it without."""
    device, half = settings.device, len(crops) // 2
    whole, needs_whole, _ = watched(lambda: rows(encoder, crops, device), device)
    first, needs_half, kept = watched(lambda: rows(encoder, crops[:half], device), device)
    halves = np.concatenate([first, rows(encoder, crops[half:], device)])
    if device == "cuda":
        yield Figure(f"{precision}, {len(crops)} clips: GPU memory", needs_whole / 1e9, "GB")
        yield Figure(f"{precision}, {half} clips: GPU memory", needs_half / 1e9, "GB")
    # what torch keeps for half a batch is more than that needs; where it is not too much, leave it
    enough = kept if kept < needs_whole else needs_half
    with limit(device, (enough + needs_whole) / 2):
        network = encoder.shared
        counter = Counter(network, half if device == "cpu" else None)
        network.encode_outputs = counter
        try:
            found = rows(encoder, crops, device)
        finally:
            del network.encode_outputs
    note = f"passes of {counter.sizes} clips"
    yield Figure(f"{precision}: out of memory", counter.failed, "times", 1, AT_LEAST, note)
    lost = int(np.isnan(found).any(axis=1).sum())
    yield Figure(f"{precision}: clips lost", lost, "clips", 0)
    if counter.sizes == [len(crops), half, half]:
        error = relative_error(found, halves)
        yield Figure(f"{precision}: beside the same halves with room", error, "", 0.0)
    error = relative_error(found, whole)
    yield Figure(f"{precision}: beside one batch with room", error, "", SAME[precision])


def rows(encoder: TokenizerCodec, crops: list[Samples], device: str) -> NDArray[np.float32]:
    """Each crop's mean, (N, D); NaN where there is none."""
    nothing = np.full(encoder.embedding_dim, np.nan, np.float32)
    made = encode_batch([Want(encoder)], [whole(crop) for crop in crops], device)
    return np.stack([nothing if isinstance(row, str) else row for (row,) in made])


def watched(
    work: Callable[[], NDArray[np.float32]], device: str
) -> tuple[NDArray[np.float32], int, int]:
    """What work returns, and the most GPU memory that it needed and that torch kept, in bytes."""
    if device != "cuda":
        return work(), 0, 0
    work()  # what libraries keep for ever is not the batch's
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    found = work()
    torch.cuda.synchronize()
    return found, torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


@contextmanager
def limit(device: str, most: float) -> Iterator[None]:
    """So many bytes of GPU memory for this process, by torch's own count."""
    if device != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, most / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
