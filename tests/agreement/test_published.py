"""`check` against published values: what is compared with what, and how far off it may be."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from clips import REPOSITORY
from reference_files import put, write

from earmark.benchmark.agreement.published import read_systems
from earmark.benchmark.cli.main import main
from earmark.benchmark.result.published import PUBLISHED, load_published
from earmark.encoders import encoder_names

COLUMNS = "system,task,metric,value,probe,protocol,source,primary\n"
XARES = "xares-0.1.3"


class Shell:
    """`check` of tmp/mine against published values in tmp/published, or those of the project."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.mine, self.own, self.capsys = folder / "mine", folder / "published", capsys

    def publish(self, *lines: str, systems: str = "logmel: LogMel\n") -> None:
        self.own.mkdir(exist_ok=True)
        (self.own / "sources.yaml").write_text(
            "sources: {here: A paper, there: A summary of it}\ndata_sets: {}\n"
        )
        (self.own / "values.csv").write_text(COLUMNS + "".join(f"{line}\n" for line in lines))
        (self.own / "systems.yaml").write_text(systems)

    def __call__(self, *words: object) -> int:
        more = ["--published", str(self.own)] if self.own.is_dir() else []
        self.capsys.readouterr()
        status = main(
            ["check", "--results", str(self.mine), "--against", "published", *more,
             *map(str, words)]
        )  # fmt: skip
        self.out, self.err = self.capsys.readouterr()
        self.said = " ".join(self.out.split())
        return status

    def cells(self, *words: object) -> list[dict[str, Any]]:
        self(*words, "--format", "json")
        return list(json.loads(self.out)["cells"])


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


ESC50 = f"LogMel,esc50,accuracy,0.5,linear,{XARES},here,yes"


@pytest.mark.parametrize(
    ("value", "interval", "words", "status"),
    [
        (0.515, None, [], 0),
        (0.525, None, [], 1),
        (0.475, None, [], 1),
        (0.525, None, ["--floor", 0.03], 0),
        # the measured cell's interval: the published value must lie in it
        (0.60, [0.49, 0.61], [], 0),
        (0.60, [0.51, 0.90], [], 1),
        (0.60, [0.49, 0.61], ["--floor-only"], 1),
    ],
)
def test_tolerance(
    shell: Shell, value: float, interval: list[float] | None, words: list[object], status: int
) -> None:
    shell.publish(ESC50)
    write(shell.mine, "esc50", value, protocol=XARES, interval=interval)
    assert shell(*words) == status
    (cell,) = shell.cells(*words)
    assert cell["verdict"] == ("ok", "breach")[status]
    assert cell["difference"] == pytest.approx(value - 0.5)


def test_the_projects_own_values(shell: Shell) -> None:
    """The mapping and the values as they are in the repository, read here by csv alone."""
    with (REPOSITORY / "results/published/understanding.csv").open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file)
            if (row["system"], row["protocol"]) == ("data2vec-audio-base", XARES) and row["task"]
        ]  # fmt: skip
    assert len(rows) > 30
    for task in {row["task"] for row in rows}:
        by_probe = {row["probe"]: row for row in rows if row["task"] == task}
        _, result = write(
            shell.mine, task, float(by_probe["linear"]["value"]) + 0.01,
            float(by_probe["knn"]["value"]) if "knn" in by_probe else None,
            encoder="data2vec", protocol=XARES, seeds=1,
        )  # fmt: skip
        for score in result.scores.values():
            score.metric, score.items = by_probe["linear"]["metric"], 5000
        put(shell.mine, result)
    assert shell() == 0
    assert f"0 breaches, 0 not checked, {len(rows)} ok" in shell.said
    assert "[1] X-ARES README" in shell.said
    _, result = write(shell.mine, "esc50", 0.0, 0.0, encoder="data2vec", protocol=XARES, seeds=1)
    assert shell() == 1
    assert shell.cells()[0]["task"] == "esc50"


def test_every_mapping_is_to_something_there() -> None:
    systems = read_systems(PUBLISHED)
    known = {value.system for value in load_published() if value.protocol == XARES}
    assert systems and set(systems.values()) <= known
    assert set(systems) <= set(encoder_names())


def test_every_source_has_a_line_and_second_hand_is_said(shell: Shell) -> None:
    shell.publish(ESC50, f"LogMel,esc50,accuracy,0.9,linear,{XARES},there,no")
    write(shell.mine, "esc50", 0.5, protocol=XARES)
    assert shell() == 1
    cells = shell.cells()
    assert [(c["source"], c["primary"], c["verdict"]) for c in cells] == [
        ("there", False, "breach"), ("here", True, "ok"),
    ]  # fmt: skip
    shell()
    assert "[2] second-hand" in shell.said
    assert "[1] A paper" in shell.said and "[2] A summary of it" in shell.said


def test_a_published_task_that_was_not_measured(shell: Shell) -> None:
    shell.publish(ESC50, f"LogMel,gtzan,accuracy,0.5,knn,{XARES},here,yes")
    write(shell.mine, "esc50", 0.5, protocol=XARES)
    assert shell() == 3
    assert "not checked: logmel · gtzan: not measured under xares-0.1.3" in shell.said
    assert shell("--tasks", "esc50") == 0
    write(shell.mine, "gtzan", 0.5, protocol=XARES)  # a linear score only
    assert shell() == 3
    assert "no knn score was measured" in shell.said
    write(shell.mine, "gtzan", error="no data", protocol=XARES)
    assert shell() == 3  # nothing was measured that could differ
    assert "failed: no data" in shell.said


def test_means_and_other_protocols_are_not_checked(shell: Shell) -> None:
    shell.publish(
        ESC50, f"LogMel,,mean,0.9,linear,{XARES},here,yes",
        "LogMel,esc50,accuracy,0.9,linear,xares,here,yes",
    )  # fmt: skip
    write(shell.mine, "esc50", 0.5, protocol=XARES)
    assert shell() == 0
    assert len(shell.cells()) == 1


@pytest.mark.parametrize(
    "other",
    [{"protocol": "strict"}, {"protocol": XARES, "limit": 20},
     {"protocol": XARES, "synthetic": True},
     {"protocol": {"name": XARES, "failed_share": 0.5}}],
)  # fmt: skip
def test_what_was_measured_otherwise_is_never_compared(shell: Shell, other: dict[str, Any]) -> None:
    shell.publish(ESC50)
    write(shell.mine, "esc50", 0.5, **other)
    assert shell() == 2
    assert "no result under protocol xares-0.1.3 on whole real data" in shell.err
    assert len(shell.err.splitlines()) == 1
    write(shell.mine, "esc50", 0.9, encoder="other", protocol=XARES)
    write(shell.mine, "esc50", 0.5, protocol=XARES)
    assert shell() == 0
    assert "without a reference: other, protocol xares-0.1.3" in shell.said


def test_a_sample_of_the_data_set_says_nothing(shell: Shell) -> None:
    """ESC-50's weight is 400, as many as a fold holds; 50 items were tested in one."""
    shell.publish(ESC50)
    write(shell.mine, "esc50", 0.9, protocol=XARES, weight=400.0)
    assert shell() == 3
    assert "tested on 50 items a fold or split, where the data set has about 400" in shell.said


def test_a_metric_of_another_name_and_none_at_all(shell: Shell) -> None:
    shell.publish(ESC50)
    _, result = write(shell.mine, "esc50", 0.5, protocol=XARES)
    result.scores["linear"].metric = "mAP"
    put(shell.mine, result)
    assert shell() == 3
    assert "published as accuracy, measured as mAP" in shell.said
    result.scores["linear"].metric = "accuracy"
    result.scores["linear"].value = float("nan")
    put(shell.mine, result)
    assert shell() == 1
    assert "not computable" in shell.said


def test_names(shell: Shell) -> None:
    shell.publish(ESC50, f"Other,esc50,accuracy,0.9,linear,{XARES},here,yes")
    write(shell.mine, "esc50", 0.9, protocol=XARES)
    write(shell.mine, "esc50", 0.9, encoder="mine", protocol=XARES)
    assert shell() == 1
    assert shell("--encoder", "mine=Other") == 0
    assert shell("--encoder", "logmel=Other") == 0
    for words, said in (
        (["mine"], "no published system is known for encoder 'mine'"),
        (["mine=Othr"], "did you mean 'Other'?"),
        (["logmell"], "did you mean 'logmel'?"),
    ):
        assert shell("--encoder", *words) == 2
        assert said in shell.err
        assert len(shell.err.splitlines()) == 1


def test_faulty_values_are_one_line(shell: Shell) -> None:
    shell.publish(ESC50.replace("0.5", "50"))
    write(shell.mine, "esc50", 0.5, protocol=XARES)
    assert shell() == 2
    assert "divide percent by 100" in shell.err
    shell.publish(ESC50, systems="- a\n")
    assert shell() == 2
    assert "systems.yaml: must be a mapping" in shell.err
    for option in (["--exact"], ["--changed", "0.1"]):
        assert shell(*option) == 2
        assert "go with a folder of reference results" in shell.err


def test_predictions_that_were_changed_are_a_breach(shell: Shell) -> None:
    shell.publish(ESC50)
    path, _ = write(shell.mine, "esc50", 0.5, protocol=XARES)
    assert shell() == 0
    beside = path.with_suffix(".predictions.npz")
    beside.write_bytes(beside.read_bytes() + b"x")
    assert shell() == 1
    assert beside.name in shell.out.replace("\n", "").replace(" ", "")
    assert "another SHA-256" in shell.said
