"""Reads and checks a task file: YAML to TaskSpec, with the mend in every error."""

from __future__ import annotations

import difflib
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from earmark.tasks.kinds import LABEL_KINDS
from earmark.tasks.spec import (
    DOMAINS,
    SPLIT_NAMES,
    KnownClips,
    LabelRule,
    ProbeSettings,
    SourceRule,
    TaskError,
    TaskSpec,
)

_REQUIRED = (
    "title", "abbreviation", "domain", "description", "licence", "citation", "url", "folder",
    "label", "probe", "metric", "source",
)  # fmt: skip
_OPTIONAL = (
    "name", "weight", "zenodo_record", "classes", "splits", "folds", "crop_seconds",
    "segment_seconds", "also_in", "knn", "known",
)  # fmt: skip
_TIMED = " or ".join(name for name, kind in LABEL_KINDS.items() if kind.timed)


def read_task(path: str | Path) -> TaskSpec:
    """Read and check one task file.

    Args:
        path: of a YAML file; `tasks/README.md` has every key with an example.

    Returns:
        The task; its name is that of the file unless it states another.

    Raises:
        TaskError: the file cannot be read, or does not declare a task. One line: file, key, fault
            and fix.

    Example:
        >>> read_task("my_task.yaml").metric
        'accuracy'
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        twice = _repeated_key(yaml.compose(text, Loader=yaml.SafeLoader))
        raw = yaml.safe_load(text)
    except OSError as error:
        reason = error.strerror or error
        raise TaskError(f"{path}: cannot read the task file ({reason})") from error
    # ValueError: a date or number that is none; RecursionError: nested without end
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise TaskError(f"{path}: not valid YAML ({reason})") from error
    if twice is not None:
        raise TaskError(f"{path}: key {twice!r} is given twice in one mapping; keep one")
    return _Reader(path).task(raw)


def _repeated_key(node: yaml.Node | None) -> str | None:
    """A key that a mapping of the document holds twice; YAML would keep the last without a word."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        inner = [value for _, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        twice, inner = None, node.value
    else:
        return None
    found = (_repeated_key(value) for value in inner)
    return twice or next((key for key in found if key is not None), None)


class _Reader:
    """Turns the parsed YAML of one file into a TaskSpec, naming file and key in every error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fail(self, message: str) -> TaskError:
        return TaskError(" ".join(f"{self.path}: {message}".split()))

    def check_keys(
        self, raw: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...]
    ) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise self.fail(f"{where} must be a mapping of keys to values, not {raw!r}")
        known = required + optional
        for key in raw:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
                raise self.fail(f"unknown key {key!r} in {where}; {hint}")
        for key in required:
            if raw.get(key) is None:
                raise self.fail(f"{where} lacks {key!r}; add it (tasks/README.md has an example)")
        return raw

    def typed(self, raw: dict[str, Any], key: str, where: str, kind: Any, words: str) -> Any:
        value = raw[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fail(f"{key!r} in {where} must be {words}, not {value!r}")
        return value

    def text(self, raw: dict[str, Any], key: str, where: str) -> str:
        value = str(self.typed(raw, key, where, str, "text")).strip()
        if not value:
            raise self.fail(f"{key!r} in {where} must not be empty")
        return value

    def positive(self, raw: dict[str, Any], key: str, where: str, kind: Any = (int, float)) -> Any:
        words = "a whole number above 0" if kind is int else "a number above 0"
        value = self.typed(raw, key, where, kind, words)
        if not 0 < value < 1e9:
            raise self.fail(f"{key!r} in {where} must be {words}, not {value!r:.40}")
        return value

    def task(self, raw: Any) -> TaskSpec:
        here = "the task"
        raw = self.check_keys(raw, here, _REQUIRED, _OPTIONAL)
        label = self.label(raw["label"])
        optional: dict[str, Any] = {}
        if raw.get("weight") is not None:
            optional["weight"] = float(self.positive(raw, "weight", here))
        if raw.get("zenodo_record") is not None:
            record = raw["zenodo_record"]
            if isinstance(record, bool) or not re.fullmatch("[1-9][0-9]*", str(record)):
                raise self.fail(f"'zenodo_record' must be a record's number, not {record!r}")
            optional["zenodo_record"] = str(record)
        for key in ("crop_seconds", "segment_seconds"):
            if raw.get(key) is not None:
                optional[key] = float(self.positive(raw, key, here))
        if raw.get("also_in") is not None:
            optional["also_in"] = self.folder(raw, "also_in")
        if raw.get("knn") is not None:
            optional["knn"] = self.typed(raw, "knn", here, bool, "true or false")
        if raw.get("known") is not None:
            optional["known"] = self.known(raw["known"])
        spec = TaskSpec(
            name=self.name(raw),
            title=self.text(raw, "title", here),
            abbreviation=self.text(raw, "abbreviation", here),
            domain=self.one_of(raw, "domain", here, DOMAINS),
            description=self.text(raw, "description", here),
            licence=self.text(raw, "licence", here),
            citation=self.text(raw, "citation", here),
            url=self.text(raw, "url", here),
            folder=self.folder(raw),
            label=label,
            classes=self.classes(raw, label.kind),
            probe=self.probe(raw["probe"]),
            metric=self.one_of(raw, "metric", here, LABEL_KINDS[label.kind].metrics),
            source=self.source(raw["source"]),
            splits=self.shards(raw, "splits"),
            folds=self.shards(raw, "folds"),
            path=str(self.path),
            **optional,
        )
        self.check_whole(spec)
        return spec

    def name(self, raw: dict[str, Any]) -> str:
        name = str(raw.get("name") or self.path.stem)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise self.fail(
                f"task name {name!r} may hold only a-z, 0-9, '_' and '-'; rename the file, or "
                "set 'name'"
            )
        if name in ("all", *DOMAINS):
            raise self.fail(f"task name {name!r} means a group of tasks; choose another")
        return name

    def folder(self, raw: dict[str, Any], key: str = "folder") -> str:
        folder = self.text(raw, key, "the task")
        if Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise self.fail(f"{key!r} must be a folder inside the data directory, not {folder!r}")
        return folder

    def one_of(self, raw: dict[str, Any], key: str, where: str, known: tuple[str, ...]) -> str:
        value = self.text(raw, key, where)
        if value not in known:
            raise self.fail(f"{key!r} in {where} must be one of {', '.join(known)}, not {value!r}")
        return value

    def label(self, raw: Any) -> LabelRule:
        where = "'label'"
        raw = self.check_keys(raw, where, ("kind",), ("field", "fields", "index", "separator"))
        name = self.one_of(raw, "kind", where, tuple(LABEL_KINDS))
        kind = LABEL_KINDS[name]
        rule: dict[str, Any] = {"kind": name}
        if "fields" in kind.keys:
            rule["fields"] = self.fields(raw, name)
        elif raw.get("field") is not None:
            rule["field"] = self.text(raw, "field", where)
        elif not kind.whole_json:
            raise self.fail(f"{where} lacks 'field'; add it (tasks/README.md has an example)")
        for key in ("fields", "index"):
            if key in raw and key not in kind.keys:
                raise self.fail(f"{key!r} in {where} does not belong to kind {name}")
        if "index" in raw:
            rule["index"] = self.typed(raw, "index", where, bool, "true or false")
        if "separator" in raw:
            if "separator" not in kind.keys:
                raise self.fail("'separator' in 'label' belongs to kind multilabel only")
            separator = self.typed(raw, "separator", where, str, "text")
            if not separator:
                raise self.fail("'separator' in 'label' must not be empty")
            rule["separator"] = separator
        return LabelRule(**rule)

    def fields(self, raw: dict[str, Any], kind: str) -> tuple[str, ...]:
        fields = raw.get("fields")
        if "field" in raw or not isinstance(fields, list) or not fields:
            raise self.fail(f"'label' of kind {kind} needs 'fields', a list of JSON fields")
        if not all(isinstance(name, str) and name for name in fields):
            raise self.fail(f"'fields' in 'label' must be names of JSON fields, not {fields!r}")
        if len(set(fields)) < len(fields):
            raise self.fail("'fields' in 'label' names a JSON field twice")
        return tuple(fields)

    def classes(self, task: dict[str, Any], kind: str) -> tuple[str, ...]:
        """A list of names, the number of classes, or the name of a file with one name a line."""
        raw = task.get("classes")
        if not LABEL_KINDS[kind].has_classes:
            if raw is not None:
                raise self.fail(f"'classes' does not belong to labels of kind {kind}")
            return ()
        if raw is None:
            raise self.fail("the task lacks 'classes'; add it (tasks/README.md has an example)")
        if isinstance(raw, int) and not isinstance(raw, bool) and raw > 1:
            return tuple(str(i) for i in range(raw))
        if isinstance(raw, str):
            file = self.path.parent / raw
            try:
                lines = file.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, ValueError) as error:
                raise self.fail(f"cannot read the class list {str(file)!r} ({error})") from error
            raw = [line for line in lines if line.strip()]
        if not isinstance(raw, list) or len(raw) < 2:
            raise self.fail(
                f"'classes' must be a list of two names or more, a number, or a file; not {raw!r}"
            )
        for name in raw:
            # YAML reads a bare no, on or yes as a truth value
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise self.fail(f"class {name!r} is not text; put it in quotes")
        names = tuple(str(name).strip() for name in raw)  # as labels are before they are looked up
        plain = [unicodedata.normalize("NFC", name) for name in names]
        twice = sorted({name for name in plain if plain.count(name) > 1})
        if twice:
            raise self.fail(f"class {twice[0]!r} is listed more than once")
        return names

    def probe(self, raw: Any) -> ProbeSettings:
        where = "'probe'"
        raw = self.check_keys(
            raw, where, ("epochs", "batch_size"), ("learning_rate", "positive_weight")
        )
        settings: dict[str, Any] = {
            key: self.positive(raw, key, where, int) for key in ("epochs", "batch_size")
        }
        for key in ("learning_rate", "positive_weight"):
            if raw.get(key) is not None:
                settings[key] = float(self.positive(raw, key, where))
        return ProbeSettings(**settings)

    def source(self, raw: Any) -> SourceRule:
        where = "'source'"
        raw = self.check_keys(raw, where, ("unit",), ("key", "field"))
        if raw.get("key") is not None and raw.get("field") is not None:
            raise self.fail("'source' takes 'key' or 'field', not both")
        key = None
        if raw.get("key") is not None:
            key = self.text(raw, "key", where)
            try:
                named = "source" in re.compile(key).groupindex
            except re.error as error:
                raise self.fail(
                    f"'key' in 'source' is not a regular expression ({error})"
                ) from error
            if not named:
                raise self.fail("'key' in 'source' needs a group named source: (?P<source>...)")
        field_name = self.text(raw, "field", where) if raw.get("field") is not None else None
        return SourceRule(unit=self.text(raw, "unit", where), key=key, field=field_name)

    def known(self, raw: Any) -> KnownClips:
        where = "'known'"
        raw = self.check_keys(raw, where, ("clips", "from"), ())
        origin = self.text(raw, "from", where)
        if not isinstance(raw["clips"], dict):
            return KnownClips(int(self.positive(raw, "clips", where, int)), origin)
        by_part = {
            str(part): int(self.positive(raw["clips"], part, "'clips' in 'known'", int))
            for part in raw["clips"]
        }
        return KnownClips(sum(by_part.values()), origin, by_part)

    def shards(self, raw: dict[str, Any], what: str) -> dict[str, str]:
        patterns = raw.get(what)
        if patterns is None:
            return {}
        if not isinstance(patterns, dict) or not patterns:
            raise self.fail(f"{what!r} must map names to shard patterns, not {patterns!r}")
        for name, pattern in patterns.items():
            if not isinstance(name, str | int) or isinstance(name, bool) or not str(name):
                raise self.fail(f"{what!r}: {name!r} is no name; put it in quotes")
            if not isinstance(pattern, str) or "/" in pattern or not pattern.endswith(".tar"):
                raise self.fail(
                    f"{what!r}: the pattern of {name!r} must be a file pattern ending in .tar, "
                    f"not {pattern!r}"
                )
        return {str(name): pattern for name, pattern in patterns.items()}

    def check_whole(self, spec: TaskSpec) -> None:
        """What no single key can show."""
        if bool(spec.splits) == bool(spec.folds):
            raise self.fail("give either 'splits' or 'folds'")
        if spec.splits:
            unknown = sorted(set(spec.splits) - set(SPLIT_NAMES))
            if unknown or not {"train", "test"} <= set(spec.splits):
                raise self.fail("'splits' needs train and test, may have valid, and nothing else")
        if spec.folds and len(spec.folds) < 2:
            raise self.fail("'folds' needs two folds or more")
        by_part = spec.known.by_part if spec.known is not None else {}
        if by_part and set(by_part) != set(spec.shard_patterns):
            raise self.fail(
                "'clips' in 'known' must be one number, or name the splits or folds: "
                f"{', '.join(spec.shard_patterns)}"
            )
        patterns = list(spec.shard_patterns.values())
        if len(set(patterns)) < len(patterns):
            raise self.fail(
                "two splits or folds read the same shards; without a validation split of its own "
                "leave 'valid' out: a tenth of train is then held out"
            )
        if spec.label.index and spec.classes != tuple(str(i) for i in range(spec.num_classes)):
            raise self.fail("with 'index: true' the classes are a number, not names")
        self.check_kind(spec)

    def check_kind(self, spec: TaskSpec) -> None:
        """What goes with one kind of label and not with another."""
        name, kind = spec.label.kind, spec.kind
        if spec.knn and not kind.one_class:
            raise self.fail("kNN is for single-label tasks; set 'knn: false'")
        if kind.timed != (spec.segment_seconds is not None):
            raise self.fail(
                f"labels of kind {_TIMED} need 'segment_seconds', the length of the segments "
                "that are scored; others have none"
            )
        if not kind.timed and spec.probe.positive_weight != 1:
            raise self.fail(f"'positive_weight' in 'probe' is for labels of kind {_TIMED}")
        if spec.by_frame and spec.crop_seconds is not None:
            raise self.fail(f"labels of kind {name} are for whole clips; remove 'crop_seconds'")
        if spec.folds and not kind.has_classes:
            raise self.fail(f"labels of kind {name} take 'splits', not 'folds'")
        if kind.allowed_classes is not None and not kind.allowed_classes[0].issuperset(
            spec.classes
        ):
            raise self.fail(f"with {name} the classes are {kind.allowed_classes[1]}")
