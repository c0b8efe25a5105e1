"""One batch through an encoder: by length, checked against what the encoder claims, pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.embedding.output import lengths_cure, output_fault
from earmark.benchmark.embedding.pooling import deviation_and_maximum, pool
from earmark.benchmark.embedding.windows import (
    Piece,
    Placed,
    is_placed,
    join_frames,
    join_means,
    own_frames,
    placed,
)
from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    Frames,
    clip_dim,
    encode_each,
    scene_at_home,
)
from earmark.encoders.blame import told
from earmark.encoders.device import as_current, device_kind, free_memory, is_out_of_memory

# How far the number of frames may be off what frame_rate promises: edges of windows, rounding; of a
# mean a share too, as no frame's place in time counts there. Where frames are scored in time, a
# drift would move the end of a long recording away from its labels.
FRAME_SLACK = 2.0
FRAME_SLACK_SHARE = 0.02
FRAME_SLACK_IN_TIME = 3.0


class Want(NamedTuple):
    """What is wanted of a batch: an encoder's frames themselves, or (the default) their mean.

    spread: their standard deviation and maximum beside the mean.
    """

    encoder: AudioEncoder
    frames: bool = False
    spread: bool = False

    @property
    def is_scene(self) -> bool:
        """Whether it is the vector of `encode_scene`."""
        return not self.frames and self.encoder.scene_dim is not None


class Unfit(str):
    """Why what an encoder returned cannot be used: the same again for the same audio."""


# A piece's mean (1, D) float32, with deviation and maximum (3, D), or its frames (F, D) float16; in
# words where it has none.
Encoded = NDArray[np.float32] | NDArray[np.float16] | Placed | str


def plan_batches(
    lengths: Sequence[int], budget: int, *, equal_lengths: bool = False
) -> list[list[int]]:
    """Indices of `lengths` in batches: similar lengths together, padded size at most `budget`.

    Every index once; shortest first; a batch holds one item at least, however long it is. With
    `equal_lengths` all items of a batch are of exactly the same length.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        longest = lengths[index]
        full = (len(current) + 1) * longest > budget
        other = equal_lengths and bool(current) and lengths[current[0]] != longest
        if current and (full or other):
            batches.append(current)
            current = []
        current.append(index)
    if current:
        batches.append(current)
    return batches


class Padded(NamedTuple):
    """Pieces as a batch: waveforms (B, T) float32, zero beyond their audio; lengths (B,)."""

    waveforms: torch.Tensor
    lengths: torch.Tensor


def pad(pieces: Sequence[Piece], device: str) -> Padded:
    """Pieces as a batch on the CPU; for a GPU in pages that it copies from while others compute."""
    lengths = torch.tensor([piece.length for piece in pieces])
    with as_current(device):  # pages are pinned for the current GPU, and this may be a thread
        pinned = device_kind(device) == "cuda"
        waveforms = torch.empty(len(pieces), int(lengths.max()), pin_memory=pinned)
    for row, piece in zip(waveforms.numpy(), pieces, strict=True):
        row[: len(piece.samples)] = piece.samples
        row[len(piece.samples) :] = 0
    return Padded(waveforms, lengths)


def encode_batches(
    wants: Sequence[Want], batches: Sequence[Sequence[Piece]], device: str, *, ahead: bool
) -> Iterator[list[list[Encoded]]]:
    """`encode_batch` of each. ahead: the next is padded in a thread while one is encoded."""
    if not ahead:
        yield from (encode_batch(wants, pieces, device) for pieces in batches)
        return
    with ThreadPoolExecutor(1) as thread:
        padded: list[Future[Padded]] = []
        for number, pieces in enumerate(batches):
            for later in batches[number + len(padded) : number + 2]:
                padded.append(thread.submit(pad, later, device))
            yield encode_batch(wants, pieces, device, padded.pop(0).result)


def encode_batch(
    wants: Sequence[Want],
    pieces: Sequence[Piece],
    device: str,
    padded: Callable[[], Padded] | None = None,
) -> list[list[Encoded]]:
    """For each piece, for each want, what was wanted, or in words why there is none.

    padded: gives the pieces as `pad` has them, where that is done elsewhere.
    Encoders that share a forward pass take one. Out of memory on the GPU: the batch is halved. Any
    other failure: one clip at a time, so that only the clip at fault is lost, and it is named.
    Raises EncoderError where an encoder breaks its contract.
    """
    try:
        batch = pad(pieces, device) if padded is None else padded()
        return _forward(wants, pieces, batch, device)
    except EncoderError:
        raise
    except Exception as error:  # noqa: BLE001 - an encoder may raise anything
        if len(pieces) == 1:
            return [[f"encoder {w.encoder.name}: {told(error, w.encoder, 200)}" for w in wants]]
        halve = is_out_of_memory(error)
    # out of the handler: the error, as long as it is handled, keeps all that the pass had made
    free_memory(device)
    step = (len(pieces) + 1) // 2 if halve else 1
    parts = [pieces[i : i + step] for i in range(0, len(pieces), step)]
    return [row for part in parts for row in encode_batch(wants, part, device)]


def join(want: Want, parts: Sequence[Encoded], pieces: Sequence[Piece]) -> Encoded:
    """What was wanted of a crop, from what there is of its pieces; in words where one has none."""
    for part in parts:
        if isinstance(part, str):
            return part
    if want.frames and is_placed(want.encoder):
        samples = sum(len(piece.samples) for piece in pieces)
        return join_frames(want.encoder, parts, samples)  # type: ignore[arg-type]
    if len(parts) == 1:
        return parts[0]
    one_vector = want.is_scene or want.encoder.frame_rate is None
    return join_means(parts, pieces, one_vector=one_vector)  # type: ignore[arg-type]


def _forward(
    wants: Sequence[Want], pieces: Sequence[Piece], batch: Padded, device: str
) -> list[list[Encoded]]:
    lengths = batch.lengths
    encoders = list(dict.fromkeys(want.encoder for want in wants if not want.is_scene))
    with torch.inference_mode():
        # elsewhere than from pinned pages, the copy could outlive what it is made from
        pinned = device_kind(device) == "cuda"
        waveforms = batch.waveforms.to(device, non_blocking=pinned)
        given = lengths.to(device)
        found = encode_each(encoders, waveforms, given)
        in_time = {want.encoder for want in wants if want.frames}
        for encoder, frames in zip(encoders, found, strict=True):
            _check_frames(encoder, frames, lengths, in_time=encoder in in_time)
        by_encoder = dict(zip(encoders, found, strict=True))
        columns = []
        for want in wants:
            if want.is_scene:
                vectors = scene_at_home(want.encoder, waveforms, given)
                columns.append(_scenes(want, vectors, len(pieces)))
            else:
                columns.append(_wanted(want, by_encoder[want.encoder], pieces))
    return [list(row) for row in zip(*columns, strict=True)]


def _wanted(want: Want, frames: Frames, pieces: Sequence[Piece]) -> list[Encoded]:
    """One element a piece; what there is of its padding is left out."""
    encoder, counts = want.encoder, frames.lengths
    if any(piece.is_padded for piece in pieces):
        own = torch.tensor(own_frames(encoder, counts, pieces), device=counts.device)
        frames = Frames(frames.values, own)
    if not want.frames:
        return _statistics(want, frames)
    kept: list[Encoded] = []
    who = f"encoder {encoder.name}"
    for values, length in zip(frames.values, frames.lengths.tolist(), strict=True):
        own_values = values[:length]
        half = own_values.half().cpu().numpy()
        if np.isfinite(half).all():
            kept.append(half)
        elif bool(own_values.isfinite().all()):
            kept.append(Unfit(f"{who}: frame values beyond 65504, the largest that is stored"))
        else:
            kept.append(Unfit(f"{who}: NaN or infinity in its output"))
    if not is_placed(encoder):
        return kept
    return [
        one if isinstance(one, str) else placed(encoder, one, count, piece)  # type: ignore[arg-type]
        for one, count, piece in zip(kept, counts.tolist(), pieces, strict=True)
    ]


def _statistics(want: Want, frames: Frames) -> list[Encoded]:
    """The mean over each piece's frames, with deviation and maximum where they are wanted."""
    means = pool(frames)
    rows = means[:, None]
    if want.spread:
        rows = torch.cat([rows, deviation_and_maximum(frames, means)], dim=1)
    unfit = Unfit(f"encoder {want.encoder.name}: NaN or infinity in its output")
    return [row if np.isfinite(row).all() else unfit for row in rows.cpu().numpy()]


def _scenes(want: Want, vectors: torch.Tensor, count: int) -> list[Encoded]:
    """What `encode_scene` returned of each piece, as the statistics of one frame."""
    shape = tuple(vectors.shape)
    if shape != (count, clip_dim(want.encoder)):
        raise EncoderError(
            f"encoder {want.encoder.name!r} returned vectors of shape {shape} from "
            f"encode_scene(); expected ({count}, {want.encoder.scene_dim}), by its scene_dim"
        )
    one = torch.ones(count, dtype=torch.int64, device=vectors.device)
    return _statistics(want, Frames(vectors[:, None], one))


def _check_frames(
    encoder: AudioEncoder, frames: Frames, lengths: torch.Tensor, *, in_time: bool
) -> None:
    """What the encoder claims against what it returned. Raises EncoderError on a breach."""
    who = f"encoder {encoder.name!r}"
    longest_s = float(lengths.max()) / encoder.sample_rate
    fault = output_fault(encoder, frames, len(lengths), longest_s)
    if fault is not None:
        raise EncoderError(f"{who} returned {fault.said} from encode(); {fault.cure}")
    shape = tuple(frames.values.shape)
    if shape[2] != encoder.embedding_dim:
        raise EncoderError(
            f"{who} returned values of shape {shape}; expected ({len(lengths)}, F, "
            f"{encoder.embedding_dim}), by its embedding_dim"
        )
    got = frames.lengths.cpu()
    if not bool(((got >= 1) & (got <= shape[1])).all()):
        raise EncoderError(
            f"{who} returned frame lengths {got.tolist()[:8]} for {shape[1]} frames; each clip "
            "needs its own, from 1 up to the number of frames: "
            + lengths_cure(got.tolist(), shape[1], lengths.tolist())
        )
    if encoder.frame_rate_varies:
        return
    if encoder.frame_rate is None:
        if bool((got != 1).any()):
            raise EncoderError(
                f"{who} claims one vector a clip (frame_rate None) but returned {int(got.max())} "
                "frames for one; average them, or set frame_rate"
            )
        return
    expected = lengths.double() / encoder.sample_rate * encoder.frame_rate
    slack = FRAME_SLACK + FRAME_SLACK_SHARE * expected
    if in_time:
        slack = slack.clamp(max=FRAME_SLACK_IN_TIME)
    off = (got.double() - expected).abs() - slack
    worst = int(off.argmax())
    if off[worst] > 0:
        seconds = float(lengths[worst]) / encoder.sample_rate
        raise EncoderError(
            f"{who} claims {encoder.frame_rate:g} frames a second but returned {int(got[worst])} "
            f"for {seconds:.2f} s; correct its frame_rate or its lengths"
        )
