"""Protocols: what an altered one is called, and that it is never taken for the one of its name."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reference_files import write
from result_files import make_result

from earmark import Leaderboard, RunResult, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.protocol import (
    CHOICES,
    PROTOCOLS,
    STRICT,
    Protocol,
    ProtocolError,
    choose_protocol,
    protocol_label,
)
from earmark.benchmark.result.files import result_path
from earmark.tasks import builtin_tasks


def altered(**changes: Any) -> Protocol:
    return dataclasses.replace(STRICT, **changes)


def other_value(field: str, usual: Any) -> Any:
    """Something else that a field may hold."""
    if field in CHOICES:
        return CHOICES[field][-1]
    match usual:
        case str():
            return "another"
        case tuple() if field == "learning_rates":
            return (0.5,)
        case tuple():
            return ("weighted",) if field == "means" else (("esc50", 2),)
        case _:
            return type(usual)(usual / 2)


def read_back(facts: dict[str, Any]) -> RunResult:
    """A result of this protocol, as a leaderboard gets it from a file."""
    return RunResult.from_json(
        make_result("a", 0.5, protocol=facts, seeds=facts["seeds"]).to_json()
    )


LABELS = [
    (STRICT, "strict"),
    (altered(seeds=2), "strict"),  # seeds are told apart by themselves
    (altered(failed_share=0.5), "strict (failed_share=0.5)"),
    (altered(failed_share=1), "strict (failed_share=1)"),
    (altered(failed_share=1.0), "strict (failed_share=1)"),
    (altered(failed_share=1e-7), "strict (failed_share=1e-07)"),
    (
        altered(knn_neighbours=3, confidence=0.9, seeds=1),
        "strict (confidence=0.9, knn_neighbours=3)",
    ),
    (Protocol("mine"), "mine"),
    (Protocol("mine", revision=3), "mine (revision 3)"),
    (Protocol("mine", validation_share=0.2), "mine (validation_share=0.2)"),
]


@pytest.mark.parametrize(("protocol", "label"), LABELS)
def test_label_names_what_is_not_as_the_name_says(protocol: Protocol, label: str) -> None:
    assert protocol.label == label
    assert protocol_label(read_back(dataclasses.asdict(protocol)).protocol) == label


def test_every_field_but_seeds_counts() -> None:
    for field in dataclasses.fields(Protocol):
        if field.name not in ("name", "seeds", "revision"):
            usual = getattr(STRICT, field.name)
            # which crop is the first in a batch is known only where batches follow the file
            more = {"padding": "averaged"} if field.name == "crops" else {}
            one = altered(**{field.name: other_value(field.name, usual)}, **more)
            assert one.label.startswith(f"strict ({field.name}=")


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        ({"name": "strict"}, "strict (revision 1)"),  # an older version had fewer fields
        ({"name": "strict", "failed_share": 0.5}, "strict (revision 1, failed_share=0.5)"),
        ({"name": "strict", "revision": 2, "failed_share": 0.01}, "strict"),
        ({"name": "strict", "revision": 3}, "strict (revision 3)"),
        (
            {"name": "strict", "revision": 2, "warm_up": [1, None]},
            "strict (warm_up=[1, null])",  # a newer, more
        ),
        ({"name": "xares-0.1.3"}, "xares-0.1.3"),
        ({"name": "from-afar", "warm_up": 3}, "from-afar (warm_up=3)"),
        ({"name": "from-afar", "failed_share": 0.01}, "from-afar"),
    ],
)
def test_label_of_other_versions_results(facts: dict[str, Any], label: str) -> None:
    assert protocol_label(read_back(facts | {"seeds": 5}).protocol) == label


def test_altered_protocols_have_tables_of_their_own() -> None:
    protocols = [STRICT, altered(failed_share=0.5), altered(knn_neighbours=3), Protocol("mine")]
    facts = [json.loads(json.dumps(dataclasses.asdict(protocol))) for protocol in protocols]
    results = [make_result("a", (i + 1) / 8, protocol=one) for i, one in enumerate(facts)]
    tables = Leaderboard(results).tables
    assert {table.protocol: table.rows[0].cell("logmel", "linear").value for table in tables} == {
        protocol.label: (i + 1) / 8 for i, protocol in enumerate(protocols)
    }
    captions = [table.caption for table in tables]
    assert "real data, protocol strict (failed_share=0.5), 5 seeds" in captions
    assert "real data, protocol strict, 5 seeds" in captions


def test_altered_protocols_share_no_file() -> None:
    protocols = [
        altered(failed_share=share, knn_neighbours=neighbours, confidence=confidence)
        for share, neighbours, confidence in itertools.product(
            (0.01, 0.1, 0.11, 1e-7), (1, 10), (0.95, 0.9)
        )
    ]
    paths = {
        result_path(
            Path("r"), encoder="logmel", fingerprint="0123456789", protocol=one.label, task="toy",
            synthetic=False, limit=None,
        )
        for one in [*protocols, Protocol("mine")]
    }  # fmt: skip
    assert len(paths) == len(protocols) + 1
    assert Path("r/logmel-01234567/strict/toy.json") in paths
    for path in paths:
        assert len(path.parts) == 4
        assert not set(str(path)) & set(" ()*?:'\"")


def test_a_run_with_another_share_is_apart_in_files_and_tables(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    results = tmp_path / "results"
    words = ["--encoder", "logmel", "--tasks", str(task), "--data", str(data), "--seeds", "1"]
    for more in ([], ["--failed-share", "0.5"]):
        assert main([*words, "--results", str(results), *more]) == 0
    assert "protocol strict (failed_share=0.5), 1 seed" in capsys.readouterr().out
    neighbours = dataclasses.replace(STRICT, knn_neighbours=1)
    evaluate("logmel", str(task), data=data, results=results, seeds=1, protocol=neighbours)
    board, unreadable = Leaderboard.from_folder(results)
    assert unreadable == []
    assert [table.protocol for table in board.tables] == [
        "strict", "strict (failed_share=0.5)", "strict (knn_neighbours=1)",
    ]  # fmt: skip
    assert len({path.parent for path in results.rglob("toy.seeds-1.json")}) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 0}, {"seeds": 2.0}, {"knn_neighbours": 0}, {"bootstrap_resamples": -1},
        {"validation_share": 1.1}, {"learning_rate_floor": -0.1}, {"confidence": 95},
        {"failed_share": "0.5"}, {"knn_temperature": 0}, {"knn_temperature": math.inf},
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_one_line(changes: dict[str, Any]) -> None:
    ((name, value),) = changes.items()
    with pytest.raises(ValueError, match=rf"^{name} must be .*, not {value!r}$"):
        altered(**changes)


@pytest.mark.parametrize("name", ["", "../strict", "strict (failed_share=0.5)", "a b"])
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a protocol's name may hold"):
        Protocol(name)


# ------------------------------------------------------------------------------- revisions

# `strict` as result files of its first revision hold it
FIRST: dict[str, Any] = {
    "name": "strict", "validation_share": 0.1, "learning_rate_floor": 0.1, "knn_neighbours": 10,
    "knn_temperature": 0.07, "bootstrap_resamples": 1000, "confidence": 0.95, "failed_share": 0.01,
    "padding": "masked", "caption_tokens": "words", "means": ["domains", "all", "weighted"],
}  # fmt: skip


def test_revisions_of_a_name() -> None:
    assert (STRICT.revision, Protocol("strict", seeds=1).revision) == (2, 2)
    assert (PROTOCOLS["xares-0.1.3"].revision, Protocol("mine").revision) == (1, 1)
    assert STRICT.facts()["revision"] == 2
    with pytest.raises(ValueError, match="revision 1 of protocol 'strict' cannot be computed"):
        Protocol("strict", revision=1)
    with pytest.raises(ValueError, match="revision"):
        Protocol("mine", revision=-1)


def test_revisions_have_tables_of_their_own() -> None:
    old = make_result("a", 0.3, encoder="logmel", protocol=FIRST)
    new = make_result("a", 0.9, encoder="mfcc", protocol=STRICT.facts())
    tables = Leaderboard([old, new]).tables
    assert {table.protocol: table.columns for table in tables} == {
        "strict (revision 1)": ["logmel"], "strict": ["mfcc"],
    }  # fmt: skip
    assert "real data, protocol strict (revision 1), 5 seeds" in [t.caption for t in tables]


def test_a_revision_is_not_compared_with_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for folder, encoder, protocol in (("x", "A", FIRST), ("x", "B", STRICT.facts())):
        write(tmp_path / folder, "one", 0.5, encoder=encoder, protocol=protocol)
    write(tmp_path / "y", "one", 0.5, encoder="A", protocol=STRICT.facts())
    assert main(["compare", "A", "B", "--results", str(tmp_path / "x")]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "one: A has no result but that of (real data, protocol strict (revision 1), 5 seeds)" in out
    )
    words = ["check", "--results", str(tmp_path / "x"), "--against", str(tmp_path / "y")]
    assert main([*words, "--encoder", "A"]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "not measured under protocol strict, 5 seeds, real data; only under (protocol strict "
        "(revision 1), 5 seeds, real data)"
    ) in out


@pytest.mark.parametrize("name", ["clotho", "librispeech_100h", "esc50"])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_a_protocol_is_applied_to_a_task_once(name: str, protocol: Protocol) -> None:
    declared = builtin_tasks()[name]
    once = protocol.apply_to(declared)
    twice = protocol.apply_to(once)
    assert dataclasses.asdict(twice) == dataclasses.asdict(once)
    assert twice.declaration == declared.digest()
    if name == "clotho" and protocol.swapped_splits:
        assert twice.splits["valid"] == declared.splits["test"] != declared.splits["valid"]
        assert twice.splits["test"] == declared.splits["valid"]


def test_what_strict_leaves_as_it_is_another_protocol_still_takes() -> None:
    declared = builtin_tasks()["clotho"]
    xares = PROTOCOLS["xares-0.1.3"]
    assert xares.apply_to(STRICT.apply_to(declared)) == xares.apply_to(declared)


def test_a_protocol_is_chosen_by_name_and_altered() -> None:
    assert choose_protocol("strict") == STRICT
    assert choose_protocol(STRICT, seeds=2, failed_share=0.0) == altered(seeds=2, failed_share=0.0)
    assert choose_protocol("xares-0.1.3", language_model=Path("model")).language_model == "model"
    with pytest.raises(ProtocolError, match="did you mean 'strict'"):
        choose_protocol("strikt")
    with pytest.raises(ValueError, match="seeds"):
        choose_protocol("strict", seeds=0)
