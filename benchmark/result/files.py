"""Result files: where they lie, and how they are read and written."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.result.facts import FileFact
from earmark.benchmark.result.schema import (
    DONE,
    FAILED,
    NOT_APPLICABLE,
    Predictions,
    ResultError,
    RunResult,
)

_LONGEST_FOLDER = 100  # characters; file systems allow 255 bytes


RECONSTRUCTION = ".reconstruction.json"  # how results of another kind end, see `reconstruction/`


AUDITS = "audits"  # the folder of findings about shards, which are no results


def result_path(
    root: Path, *, encoder: str, fingerprint: str, protocol: str, task: str,
    synthetic: bool, limit: int | None, seeds: int | None = None,
) -> Path:  # fmt: skip
    """Where a cell's finished result lies.

    Two checkpoints, protocols, limits or numbers of seeds share no file. protocol: its label.
    seeds: None where it is the protocol's own number.
    """
    suffix = ".synthetic" if synthetic else ""
    if limit is not None:
        suffix += f".limit-{limit}"
    if seeds is not None:
        suffix += f".seeds-{seeds}"
    column = f"{_safe(encoder) or 'encoder'}-{fingerprint[:8]}"
    return root / column / _protocol_folder(protocol) / f"{task}{suffix}.json"


def _protocol_folder(label: str) -> str:
    """A protocol's label as a folder; with digits of its own where it holds a path or is long."""
    name = _safe(label) or "protocol"
    if "/" not in label and len(name) <= _LONGEST_FOLDER:
        return name
    return f"{name[:_LONGEST_FOLDER]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def _safe(name: str) -> str:
    """A name as part of a path: `strict (failed_share=0.5)` -> `strict-failed_share=0.5`."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "-", name).strip(".-")


def failed_path(path: Path) -> Path:
    """Where a failed attempt at the result at `path` is noted: beside it, so nothing is lost."""
    return path.with_name(f"{path.stem}.failed.json")


def write_result(path: Path, result: RunResult, predictions: Predictions | None) -> None:
    """Write a cell; its predictions first, each file whole or not at all.

    A failure goes beside an earlier success, not over it, and is cleared by the next success. What
    is not applicable has no predictions.
    """
    if result.status == NOT_APPLICABLE:
        write_atomically(path, result.to_json().encode())
        result.path = path
        failed_path(path).unlink(missing_ok=True)
        return
    if result.status == FAILED or predictions is None:
        write_atomically(failed_path(path), result.to_json().encode())
        return
    beside = path.with_suffix(".predictions.npz")
    data = predictions.to_bytes()
    result.predictions = FileFact(beside.name, hashlib.sha256(data).hexdigest())
    write_atomically(beside, data)
    write_atomically(path, result.to_json().encode())
    result.path = path
    failed_path(path).unlink(missing_ok=True)


def read_result(path: Path) -> RunResult:
    """Read one result file. Raises ResultError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultError(f"{path}: cannot be read ({error})") from error
    result = RunResult.from_json(text, str(path))
    result.path = path
    return result


def predictions_path(result: RunResult) -> Path:
    """Where the predictions of a result lie. Raises ResultError where it names none."""
    name = "" if result.predictions is None else result.predictions.file
    if result.path is None or not name or Path(name).name != name:
        raise ResultError(f"{result.path or 'a result in memory'}: names no file of predictions")
    return result.path.with_name(name)


def predictions_bytes(result: RunResult) -> bytes:
    """The file that a result rests on, whole and the one it was written with, or ResultError."""
    path = predictions_path(result)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror})") from error
    assert result.predictions is not None
    if hashlib.sha256(data).hexdigest() != result.predictions.sha256:
        raise ResultError(f"{path}: not what its result file names; run the task again")
    return data


def read_predictions(result: RunResult) -> Predictions:
    """The per-item predictions that a result rests on. Raises ResultError."""
    path, data = predictions_path(result), predictions_bytes(result)
    try:
        return Predictions.load(io.BytesIO(data))
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ResultError(f"{path}: not a file of predictions ({error})") from error


def still_valid(path: Path, inputs: str) -> RunResult | None:
    """The finished result at `path` if it was made from these very inputs and is whole."""
    if not path.is_file():
        return None
    try:
        result = read_result(path)
        if result.status != DONE or result.inputs != inputs:
            return None
        predictions_bytes(result)
    except ResultError:
        return None
    return result


def result_files(root: Path) -> Iterator[Path]:
    """Every result file of a task under a folder, sorted; findings of audits are none."""
    found = (
        path
        for path in root.rglob("*.json")
        if not path.name.startswith(".") and not path.name.endswith(RECONSTRUCTION)
    )
    yield from sorted(path for path in found if AUDITS not in path.relative_to(root).parts[:-1])


def read_results(folder: Path) -> tuple[list[RunResult], list[str]]:
    """All result files under a folder; and one line for each that cannot be read."""
    results, unreadable = [], []
    for path in result_files(folder):
        try:
            results.append(read_result(path))
        except ResultError as error:
            unreadable.append(str(error))
    return results, unreadable
