"""What makes other embeddings makes another key, and a run encodes as its protocol says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from file_order import (
    RATE,
    Recorder,
)

from earmark import evaluate
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.cached import CachedEmbedder, request_of
from earmark.benchmark.embedding.collectors import FileOrder
from earmark.benchmark.protocol import STRICT, XARES
from earmark.benchmark.settings import RunSettings
from earmark.tasks import builtin_tasks


def test_batches_of_every_task_are_those_of_its_declaration() -> None:
    encoder = Recorder()
    for name, spec in builtin_tasks().items():
        wanted = request_of(XARES.apply_to(spec), encoder, XARES)
        size = 1 if name in ("fsc", "maestro", "vocal_imitation") else 16
        assert wanted.file_order == FileOrder(size, first_crop_only=True)
        assert wanted.pipeline == AudioPipeline(RATE, spec.crop_seconds, "torchaudio")
        plain = request_of(spec, encoder)
        assert plain.file_order is None
        assert plain.pipeline.resampler == "soxr"


def test_every_choice_that_makes_other_embeddings_makes_another_key(tmp_path: Path) -> None:
    encoder = Recorder()
    stock = CachedEmbedder({encoder: "f"}, RunSettings(cache=tmp_path, device="cpu"))
    spec = builtin_tasks()["voxceleb1"]
    protocols = [
        STRICT, XARES, dataclasses.replace(XARES, crops="all"),
        dataclasses.replace(XARES, encode_batch=8), dataclasses.replace(XARES, resampler="soxr"),
        dataclasses.replace(STRICT, resampler="torchaudio"),
        dataclasses.replace(XARES, encode_batch_of=(("voxceleb1", 2),)),
    ]  # fmt: skip
    keys = [stock.key(request_of(spec, encoder, one), "sha") for one in protocols]
    assert len(set(keys)) == len(protocols)
    same = dataclasses.replace(XARES, seeds=3, knn_neighbours=2, validation="held out")
    assert stock.key(request_of(spec, encoder, same), "sha") == keys[1]


def test_a_run_encodes_as_the_protocol_says(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    task, data = toy({"train": 9, "valid": 4, "test": 5})
    protocol = dataclasses.replace(XARES, encode_batch=4)

    class Heard(Recorder):
        sample_rate, frame_rate = 16_000, 1600.0

    encoder = Heard()
    (result,) = evaluate(
        encoder, str(task), data=data, protocol=protocol, results=tmp_path / "r", device="cpu"
    )
    assert result.error is None
    shapes = [waveforms.shape for waveforms, _ in encoder.seen]
    batches = shapes[-6:]  # before them the check of the encoder
    assert sorted(shape[0] for shape in batches) == [1, 1, 4, 4, 4, 4]
    assert all(lengths == [w.shape[1]] * len(w) for w, lengths in encoder.seen[-6:])
