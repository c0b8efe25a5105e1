"""Published values: what papers and repositories print, as data in `results/published/`.

Every value has its protocol and its source. Its columns and how one is added:
`results/published/README.md`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from earmark.benchmark.io.nearest import nearest
from earmark.tasks import TaskSpec, builtin_tasks

PUBLISHED = Path(__file__).parents[2] / "published"

MEASURABLE = "xares-0.1.3"  # the protocol here whose results published values may stand beside
UNDERSTANDING = (MEASURABLE, "xares")  # the second: of another release, or of none that is stated
_ON_DATA_SETS = ("reconstruction", "generation")
PUBLISHED_PROTOCOLS = (*UNDERSTANDING, *_ON_DATA_SETS, "property")

_NEEDED = ("system", "metric", "value", "protocol", "source", "primary")
_COLUMNS = (
    "system", "task", "metric", "value", "probe", "protocol", "source", "primary", "where",
    "release", "note", "source_task", "source_metric",
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class PublishedError(ValueError):
    """Published values that cannot be used. One line: file and line, why, how to mend it."""


@dataclass(frozen=True)
class PublishedValue:
    """One number that somebody printed.

    system: as the source names it.
    task: a task's name in `tasks/`; of reconstruction and generation a data set's; None for a
        mean over tasks and for a property of the system.
    metric: by our name (`accuracy`, `mAP`, `recall@1`, `segment_f1_macro`, `segment_f1_micro`,
        `WER_inv`) where it is one of ours, else by the source's.
    value: of understanding a share in 0..1; of others in the metric's own unit.
    probe: `linear` (what X-ARES calls MLP) or `knn`; None but for understanding.
    protocol: one of PUBLISHED_PROTOCOLS.
    source: key of `sources.yaml`.
    primary: read at the source itself; False: second-hand, through somebody's summary.
    where: the source's table, where known, else empty.
    note: what else must be known, or empty.
    release: the release of the measuring package, where the source states it, else empty.
    source_task, source_metric: by the source's name.
    """

    system: str
    task: str | None
    metric: str
    value: float
    probe: str | None
    protocol: str
    source: str
    primary: bool
    where: str
    note: str
    release: str = ""
    source_task: str | None = None
    source_metric: str = ""


def load_published(folder: Path = PUBLISHED) -> list[PublishedValue]:
    """All values of the folder's `*.csv`, file by file in the order of their names.

    Raises PublishedError, naming file and line, for anything that is not as it should be.
    """
    known_sources, known_data_sets = _read_sources(folder)
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise PublishedError(f"{folder}: no file of published values (*.csv) is there")
    found: dict[tuple[str | None, ...], str] = {}
    values = []
    for file in files:
        for place, line in _lines(file):
            value = _value(line, place, known_sources, known_data_sets)
            key = (
                value.system, value.task, value.metric, value.probe, value.protocol, value.source
            )  # fmt: skip
            if key in found:
                raise PublishedError(
                    f"{place}: the same system, task, metric, probe, protocol and source as in "
                    f"{found[key]}; keep one of the two"
                )
            found[key] = place
            values.append(value)
    return values


def sources(folder: Path = PUBLISHED) -> dict[str, str]:
    """Key -> citation of every source. Raises PublishedError."""
    return _read_sources(folder)[0]


def _read_sources(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Citations of the sources and names of the data sets, by key."""
    if not folder.is_dir():
        raise PublishedError(
            f"no folder {folder}; published values come with Earmark's repository, in "
            "results/published: run from a checkout, or give the folder with --published DIR"
        )
    path = folder / "sources.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PublishedError(f"{path} is missing; it holds the citation of each source") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PublishedError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    parts = ("sources", "data_sets")
    if not isinstance(raw, dict) or sorted(map(str, raw)) != sorted(parts):
        raise PublishedError(f"{path}: must hold two mappings, 'sources' and 'data_sets'")
    for part in parts:
        if not isinstance(raw[part], dict):
            raise PublishedError(f"{path}: {part!r} must be a mapping of names to text")
        for key, text in raw[part].items():
            if not isinstance(key, str) or not isinstance(text, str) or not text.strip():
                raise PublishedError(f"{path}: {key!r} in {part!r} must be a name with a text")
    return raw["sources"], raw["data_sets"]


def _lines(file: Path) -> list[tuple[str, dict[str, str]]]:
    """Each line of a table as column -> text, with `file:line`."""
    try:
        # a spreadsheet may put a byte order mark before the first column's name
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            head = reader.fieldnames or []
            _check_head(head, f"{file}:1")
            lines = []
            for raw in reader:
                place = f"{file}:{reader.line_num}"
                if None in raw or None in raw.values():
                    raise PublishedError(
                        f"{place}: must have {len(head)} fields, as the first line; put text with "
                        "a comma into double quotes"
                    )
                lines.append((place, {name: text.strip() for name, text in raw.items()}))
            return lines
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PublishedError(f"{file} cannot be read: {error}") from error


def _check_head(head: Iterable[str], place: str) -> None:
    names = list(head)
    for name in names:
        if name not in _COLUMNS:
            hint = nearest(name, _COLUMNS, f"known: {', '.join(_COLUMNS)}")
            raise PublishedError(f"{place}: unknown column {name!r}; {hint}")
        if names.count(name) > 1:
            raise PublishedError(f"{place}: column {name!r} is there twice; remove one")
    for name in _NEEDED:
        if name not in names:
            raise PublishedError(f"{place}: no column {name!r}; add it")


def _value(
    line: dict[str, str], place: str, known_sources: Iterable[str], data_sets: Iterable[str]
) -> PublishedValue:
    for name in _NEEDED:
        if not line[name]:
            raise PublishedError(f"{place}: {name!r} is empty; fill it in")
    _check_one_of(line["source"], known_sources, "source", place)
    _check_one_of(line["protocol"], PUBLISHED_PROTOCOLS, "protocol", place)
    _check_one_of(line["primary"], ("yes", "no"), "primary", place)
    if not _NUMBER.fullmatch(line["value"]) or not math.isfinite(float(line["value"])):
        raise PublishedError(f"{place}: value {line['value']!r} is not a number")
    task, metric = line.get("task") or None, line["metric"]
    value = PublishedValue(
        system=line["system"],
        task=task,
        metric=metric,
        value=float(line["value"]),
        probe=line.get("probe") or None,
        protocol=line["protocol"],
        source=line["source"],
        primary=line["primary"] == "yes",
        where=line.get("where", ""),
        note=line.get("note", ""),
        release=line.get("release", ""),
        source_task=line.get("source_task") or task,
        source_metric=line.get("source_metric") or metric,
    )
    if value.protocol in UNDERSTANDING:
        _check_understanding(value, builtin_tasks(), place)
    else:
        _check_other(value, data_sets, place)
    return value


def _check_understanding(value: PublishedValue, specs: dict[str, TaskSpec], place: str) -> None:
    _check_one_of(value.probe or "", ("linear", "knn"), "probe", place)
    if not 0 <= value.value <= 1:
        raise PublishedError(
            f"{place}: value {value.value:g} must be a share from 0 to 1; divide percent by 100"
        )
    if value.task is None:
        return
    _check_one_of(value.task, specs, "task", place)
    spec = specs[value.task]
    if value.metric != spec.metric:
        raise PublishedError(
            f"{place}: metric {value.metric!r} is not the metric of {spec.name}, {spec.metric!r}; "
            "the source's own name for it goes into source_metric"
        )
    if value.probe not in spec.probes:
        raise PublishedError(f"{place}: {spec.name} has no probe {value.probe!r}")


def _check_other(value: PublishedValue, data_sets: Iterable[str], place: str) -> None:
    if value.probe is not None:
        raise PublishedError(f"{place}: probe must be empty for protocol {value.protocol!r}")
    if value.protocol in _ON_DATA_SETS:
        _check_one_of(value.task or "", data_sets, "task", place)
    elif value.task is not None:
        raise PublishedError(f"{place}: task must be empty for protocol {value.protocol!r}")


def _check_one_of(text: str, known: Iterable[str], column: str, place: str) -> None:
    if text not in (known := list(known)):
        hint = nearest(text, known, f"known: {', '.join(known)}")
        raise PublishedError(f"{place}: unknown {column} {text!r}; {hint}")
