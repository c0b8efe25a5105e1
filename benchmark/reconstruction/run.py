"""Reconstruct: codecs over data sets, one result for each pair. The Python face of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from earmark.benchmark.identity.asked import Group, Loading, grouped, lent, load_group
from earmark.benchmark.identity.chosen import AskedFor, chosen_from
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.reconstruction.clips import ClipSet
from earmark.benchmark.reconstruction.evaluator import CodecEvaluator, not_loaded
from earmark.benchmark.reconstruction.metric import registry as measured
from earmark.benchmark.reconstruction.result import ReconstructionResult
from earmark.benchmark.reconstruction.settings import ReconstructionSettings, open_materials
from earmark.benchmark.reconstruction.workers import Workers
from earmark.encoders import AudioEncoder, Codec, EncoderError, left_as_found
from earmark.encoders.device import as_current, choose_device


def reconstruct(
    encoder: AskedFor | Sequence[AskedFor],
    data: str | Path | Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    preset: str | None = None,
    source_key: str | None = None,
    crop_seconds: float | None = None,
    rates: Sequence[int] = (measured.RATE,),
    limit: int | None = None,
    results: str | Path = Path("results/runs"),
    cache: str | Path | None = None,
    failed_share: float = 0.01,
    device: str = "auto",
    workers: int | None = None,
    save_audio: str | Path | None = None,
    plots: str | Path | None = None,
    force: bool = False,
    on_result: Callable[[ReconstructionResult], None] | None = None,
    track: ProgressFactory = no_progress,
) -> list[ReconstructionResult]:
    """Encode, decode and measure; one result for each codec and data set, codec by codec.

    Args:
        encoder: names, `path/to/file.py:Class(key=value)`, loaded codecs, given back as they came,
            or mappings, as of `evaluate`.
        data: folders, shards or manifests, or the word `synthetic`; see `open_materials`.
        weights: folder with a local copy of the codec's model.
        preset, source_key, crop_seconds, rates, limit, results, cache, failed_share, device,
            workers, save_audio, plots, force: see `ReconstructionSettings`.
        on_result: called as each result is there. track: what shows the progress.

    Returns:
        Results. A data set that cannot be measured comes back with status `failed` and its reason
        in `error`.

    Raises:
        ValueError, DataError, ShardError, EncoderError: before anything is measured, for a setting
            that cannot be, for data, for an unknown name; EncoderError too where no codec at all
            can be loaded.

    Example:
        >>> import earmark
        >>> results = earmark.reconstruct(["identity", "mulaw"], "synthetic", limit=4)
        >>> print(results[0].scores["stoi"].value)
    """
    given = {"cache": cache, "workers": workers}
    run = ReconstructionSettings(
        preset, source_key, crop_seconds, tuple(rates), limit, Path(results),
        failed_share=failed_share, device=device, force=force,
        save_audio=None if save_audio is None else Path(save_audio),
        plots=None if plots is None else Path(plots),
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )  # fmt: skip
    chosen, titles = chosen_from(encoder)
    run = dataclasses.replace(run, device=choose_device(run.device))
    groups = grouped(chosen, weights)
    materials = open_materials(data, run)
    with as_current(run.device):
        loading = Loading(weights, titles)
        return _reconstructed(groups, loading, materials, run, on_result, track)


def _reconstructed(
    groups: list[Group],
    loading: Loading,
    materials: Sequence[ClipSet],
    run: ReconstructionSettings,
    on_result: Callable[[ReconstructionResult], None] | None,
    track: ProgressFactory,
) -> list[ReconstructionResult]:
    """Group after group. Raises EncoderError where nothing can be loaded."""
    found: list[ReconstructionResult] = []
    with Workers(run.workers) as workers:
        for group in groups:
            alone = len(groups) == 1
            for result in _of_group(group, alone, materials, run, loading, workers, track):
                found.append(result)
                if on_result is not None:
                    on_result(result)
    if not any(result.codec.fingerprint for result in found):
        raise EncoderError("; ".join(dict.fromkeys(str(result.error) for result in found)))
    return found


def _of_group(
    group: Group,
    alone: bool,
    materials: Sequence[ClipSet],
    run: ReconstructionSettings,
    loading: Loading,
    workers: Workers,
    track: ProgressFactory,
) -> Iterator[ReconstructionResult]:
    """Codecs that are loaded together, over all data sets.

    Where they cannot be loaded, failed results; EncoderError if there is nothing else (`alone`).
    """
    own = lent(group)
    with contextlib.nullcontext() if own is None else left_as_found(own):
        try:
            codecs = {name: _codec(one) for name, one in load_group(group, loading).items()}
        except EncoderError as error:
            if alone:
                raise
            for asked in group:
                name = asked.name if isinstance(asked, AudioEncoder) else asked
                for material in materials:
                    yield not_loaded(name, material, run, str(error))
            return
        for asked, codec in codecs.items():
            evaluator = CodecEvaluator(codec, asked, run)
            for material in materials:
                yield evaluator.evaluate(material, workers, track)


def _codec(encoder: AudioEncoder) -> Codec:
    if not isinstance(encoder, Codec) or type(encoder).decode is Codec.decode:
        raise EncoderError(
            f"encoder {encoder.name!r} cannot decode; reconstruction needs a codec: identity, "
            "mulaw, griffinlim, dasheng, encodec, dac, mimi, xcodec, snac, or a subclass of "
            "earmark.Codec"
        )
    return encoder
