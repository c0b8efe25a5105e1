"""A clip through a codec: encoded, decoded, checked; and how fast that is."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from earmark.benchmark.embedding.output import output_fault
from earmark.benchmark.reconstruction.metric.alignment import Samples
from earmark.encoders import Codec, EncoderError, decode_at_home, encode_each
from earmark.encoders.blame import told
from earmark.encoders.device import free_memory, is_out_of_memory

_AUDIBLE = 1e-3  # peak: 60 dB below full scale
_SPEED_S = 10.0  # audio that the speed is taken on
_SPEED_TIMES = 5
_SPEED_BUDGET_S = 10.0


class CodecFailedError(RuntimeError):
    """A codec that made nothing usable of a clip; says why in a few words."""


def round_trip(codec: Codec, samples: Samples, device: str) -> Samples:
    """Encode and decode one clip (n,) at the codec's rate -> (m,) float32 at its output_rate.

    Alone, so that no padding and no other clip has a part in it. Raises CodecFailedError where the
    codec fails on this clip, EncoderError where what it returns is not what its contract says.
    """
    try:
        with torch.inference_mode():
            audio = torch.from_numpy(np.array(samples, np.float32))[None].to(device)
            (frames,) = encode_each([codec], audio, torch.tensor([len(samples)], device=device))
            fault = output_fault(codec, frames, 1, len(samples) / codec.sample_rate)
            if fault is not None:
                raise EncoderError(
                    f"encoder {codec.name!r} returned {fault.said} from encode(); {fault.cure}"
                )
            made = decode_at_home(codec, frames)
        if not isinstance(made, tuple) or len(made) != 2:
            raise EncoderError(
                f"encoder {codec.name!r} returned a {type(made).__name__} from decode(); return "
                "(waveforms, lengths), (B, T) and (B,)"
            )
        sounds, lengths = made
        if sounds.ndim != 2 or len(sounds) != 1 or tuple(lengths.shape) != (1,):
            raise EncoderError(
                f"encoder {codec.name!r} returned waveforms {tuple(sounds.shape)} and lengths "
                f"{tuple(lengths.shape)} from decode() of one clip; expected (1, T) and (1,)"
            )
        found: Samples = sounds[0, : int(lengths[0])].float().cpu().numpy()
    except EncoderError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            free_memory(device)
        raise CodecFailedError(f"encoder {codec.name}: {told(error, codec, 200)}") from error
    if not np.isfinite(found).all():
        raise CodecFailedError(f"encoder {codec.name}: NaN or infinity in what it decoded")
    # metrics that leave such a clip out would make a codec better for what it silences
    if not found.any() and np.abs(samples).max() > _AUDIBLE:
        raise CodecFailedError(f"encoder {codec.name}: silence in what it decoded of sound")
    return found


def speed(codec: Codec, device: str) -> float | None:
    """Encoding and decoding together, as a multiple of real time, one clip at a time.

    On 10 s of noise, before anything else runs: the median of at most 5 rounds after one to warm
    up, of fewer where they take longer than 10 s. None where the codec cannot do it.
    """
    noise = np.random.default_rng(0).standard_normal(round(_SPEED_S * codec.sample_rate))
    samples = (0.1 * noise).astype(np.float32)
    begun = time.monotonic()
    rounds: list[float] = []
    try:
        round_trip(codec, samples, device)
        while len(rounds) < _SPEED_TIMES:
            started = time.perf_counter()
            round_trip(codec, samples, device)  # ends with a copy to the CPU, so it waits
            rounds.append(time.perf_counter() - started)
            if time.monotonic() - begun > _SPEED_BUDGET_S:
                break
    except CodecFailedError:
        return None
    return _SPEED_S / statistics.median(rounds)
