"""Result files made by hand, for tests of the page: many, and odd ones."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import reconstruction_files
import soundfile
from PIL import Image
from result_files import make_result

from earmark import report
from earmark.benchmark.protocol import PROTOCOLS
from earmark.benchmark.reconstruction import result as codec_result
from earmark.benchmark.reconstruction.measure import plot_file, sound_files
from earmark.benchmark.result.facts import RunFacts
from earmark.benchmark.result.files import failed_path, result_path
from earmark.benchmark.result.schema import RunResult
from earmark.tasks import builtin_tasks

# breaks out of an element, of an attribute in either quotes, of a script, of a comment, of CSS
EVIL = (
    "<script>window.hit=1</script><img src=x onerror=window.hit=2>"
    '"onmouseover="window.hit=3" \'--></script>'
)


def content_of(page: str) -> Any:
    """What the page holds, as the browser would read it."""
    (found,) = re.findall(r'<script id="content" type="application/json">(.*?)</script>', page)
    return json.loads(found)


def write(folder: Path, result: RunResult) -> Path:
    """A result file without predictions where its run would have put it."""
    path = result_path(
        folder, encoder=result.encoder.name, fingerprint=result.encoder.fingerprint,
        protocol=result.protocol["name"], task=re.sub(r"\W+", "-", result.task.name)[:40],
        synthetic=result.synthetic, limit=result.data.limit, seeds=result.protocol["seeds"],
    )  # fmt: skip
    path = path if result.status == "done" else failed_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.to_json(), encoding="utf-8")
    return path


def write_large(folder: Path, encoders: int = 40) -> int:
    """Every task by so many encoders under two protocols; how many results these are."""
    rng, count = np.random.default_rng(0), 0
    for protocol in PROTOCOLS.values():
        facts = protocol.facts()
        for spec in builtin_tasks().values():
            result = make_result(
                spec.name, 0.5, 0.5 if spec.knn else None, title=spec.title, domain=spec.domain,
                weight=spec.weight, protocol=facts, seeds=protocol.seeds,
                shard=f"{spec.name:0>64}",
            )  # fmt: skip
            fill(result, spec.probe.epochs, len(spec.classes), spec.metric, rng)
            raw = json.loads(result.to_json())
            for number in range(encoders):
                name = f"encoder-with-a-name-{number:02d}"
                raw["encoder"] |= {"name": name, "fingerprint": f"{number:064x}"}
                raw["command"] = result.command.replace("logmel", name)
                raw["run"]["seconds"] = round(float(rng.uniform(10, 900)), 3)
                for score in raw["scores"].values():
                    value = float(rng.uniform(0.05, 0.95))
                    score |= {"value": value, "interval": [value - 0.04, value + 0.03]}
                    score["per_seed"] = rng.random(5).tolist()
                    for curve in ("training_loss", "validation"):
                        score[curve] = score[curve] and rng.random(spec.probe.epochs).tolist()
                path = folder / name / protocol.name / f"{spec.name}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(raw), encoding="utf-8")
                count += 1
    return count


def fill(result: RunResult, epochs: int, classes: int, metric: str, rng: Any) -> None:
    """What a real result holds besides: curves, seeds, folds, counts, versions, times, machine."""
    result.task = replace(result.task, metric=metric, classes=classes)
    result.encoder = replace(
        result.encoder, sample_rate=16_000, embedding_dim=768, frame_rate=25.0,
        honours_lengths=True, parameters=86_000_000,
    )  # fmt: skip
    result.command = (
        f"python run_bench.py --encoder {result.encoder.name} --tasks {result.task.name} "
        f"--data /data/of/somebody/shards --protocol {result.protocol['name']}"
    )
    result.versions = {"python": "3.11.9", "torch": "2.14.1", "numpy": "2.3.1", "earmark": "0.1.0"}
    result.run = RunFacts(
        started="2026-11-20T10:00:00Z", seconds=round(float(rng.uniform(10, 900)), 3),
        embed_seconds=100.0, encoded_audio_seconds=2000.0, probe_seconds=12.345,
        device="cpu x86_64", threads=2, processor="A processor, 6, 143",
    )  # fmt: skip
    for score in result.scores.values():
        score.metric = metric
        score.per_seed = [round(float(v), 6) for v in rng.random(5)]
        score.spread = 0.01234
        score.per_split = {str(fold): round(float(rng.random()), 6) for fold in range(1, 6)}
    linear = result.scores["linear"]
    linear.best_epochs = {str(f): rng.integers(1, epochs + 1, 5).tolist() for f in range(1, 6)}
    linear.training_loss = sorted(rng.random(epochs).tolist(), reverse=True)
    linear.validation = sorted(rng.random(epochs).tolist())


def write_pair(folder: Path, codec: str, data: str, key: str, seed: int = 0) -> np.ndarray:
    """Sounds and a picture as `reconstruct` writes them; the decoded samples."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(-9000, 9000, 8 * 4000).astype(np.int16)
    reference, decoded = sound_files(folder / "audio", codec, data, key, None)
    reference.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(reference, samples // 2, 4000, subtype="PCM_16")
    soundfile.write(decoded, samples, 4000, subtype="PCM_16")
    picture = plot_file(folder / "plots", codec, data, key, None)
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 255, (300, 1000, 3)).astype(np.uint8)).save(picture)
    return samples


def write_codec(folder: Path, codec: str, keys: list[str], **facts: Any) -> None:
    result = reconstruction_files.make_result(codec, **facts)
    codec_result.write_result(folder, result, "key,crop\n" + "".join(f"{key},0\n" for key in keys))


def page_of(folder: Path, **options: Any) -> tuple[str, Any]:
    """The page of the real results under a folder, and what it holds."""
    (path,) = report(folder, folder / "page.html", **options).paths
    text = path.read_text(encoding="utf-8")
    return text, content_of(text)


def cell_of(content: Any, task: str, column: str) -> Any:
    (table,) = content["tables"]
    place = [one["name"] for one in table["columns"]].index(column)
    (row,) = [row for row in table["rows"] if row["name"] == task]
    return row["cells"][place]


def without_scripts(text: str) -> str:
    return re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL)
