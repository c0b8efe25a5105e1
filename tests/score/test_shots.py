"""Label efficiency: what the probes of drawn clips score, and what a result keeps of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_items import make_items, make_spec
from result_files import make_result
from scipy.stats import beta, norm
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from earmark import evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split, make_splits
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.result.files import read_result
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.score import add_shots, score_items
from earmark.benchmark.score.draws import Draw
from earmark.benchmark.shots import ShotScore, checked_shots

FOLDS = {"1": 60, "2": 100, "3": 40}


def measured(kind: str, asked: tuple[Any, ...]) -> tuple[Items, Any, list[Split], list[ShotScore]]:
    items = make_items(kind, FOLDS)
    spec = make_spec(kind, {name: f"{name}.tar" for name in FOLDS}, folds=True)
    scored = score_items(items, spec, STRICT)
    before = dataclasses.replace(scored.scores["linear"])
    add_shots(scored.scores["linear"], items, spec, STRICT, asked)
    found = scored.scores["linear"].shots
    assert dataclasses.replace(scored.scores["linear"], shots=None) == before
    return items, scored, make_splits(items, spec, STRICT), found or []


def fitted(items: Items, rows: Any, strength: float) -> Callable[[Any], Any]:
    """scikit-learn's probe of some items: rows of others -> log-probabilities."""
    trained = items.embeddings[rows].astype(np.float64)
    mean, deviation = trained.mean(axis=0), trained.std(axis=0)
    model = LogisticRegression(C=1 / (len(rows) * strength), tol=1e-10, max_iter=10_000)
    model.fit((trained - mean) / deviation, items.labels[rows])
    return lambda others: model.predict_log_proba((items.embeddings[others] - mean) / deviation)


def right_by_scikit_learn(
    items: Items, splits: list[Split], found: ShotScore, number: int, shots: int
) -> Any:
    """(N,) whether each tested item is right in one draw, of all folds."""
    right = []
    for split in splits:
        rows = Draw(items, split, 3, number).subset(shots).every
        assert len(rows) == 3 * shots
        scores = fitted(items, rows, found.strengths[split.name][number])(split.test)
        right.append(scores.argmax(axis=1) == items.labels[split.test])
    return np.concatenate(right)


def test_accuracy_of_a_draw_is_that_of_scikit_learn_at_the_chosen_strength() -> None:
    items, _, splits, (found,) = measured("class", (8,))
    assert found.per_draw[4] == right_by_scikit_learn(items, splits, found, 4, 8).mean()
    assert found.value == pytest.approx(np.mean(found.per_draw))
    assert found.spread == pytest.approx(np.std(found.per_draw, ddof=1))
    assert len(set(found.per_draw)) > 3
    assert (found.clips, found.per_class, found.short) == (24, 8, 0)
    assert found.converged


def test_the_strength_is_the_best_on_the_part_held_out_of_the_subset() -> None:
    items, _, splits, (found,) = measured("class", (12,))
    for split in splits:
        subset = Draw(items, split, 3, 2).subset(12)
        assert len(subset.valid) == 6
        wanted = items.labels[subset.valid]

        def loss(strength: float, subset: Any = subset, wanted: Any = wanted) -> float:
            scores = fitted(items, subset.train, strength)(subset.valid)
            return float(-scores[np.arange(len(wanted)), wanted].mean())

        least = min(loss(10.0**power) for power in np.arange(0.5, -4, -0.5))
        assert loss(found.strengths[split.name][2]) <= least + 1e-4


def test_map_of_a_draw_is_the_mean_over_folds() -> None:
    items, _, splits, (found,) = measured("multilabel", (5,))
    values = []
    for split in splits:
        rows = Draw(items, split, 3, 0).subset(5).every
        trained = items.embeddings[rows].astype(np.float64)
        mean, deviation = trained.mean(axis=0), trained.std(axis=0)
        tested = (items.embeddings[split.test] - mean) / deviation
        c = 1 / (len(rows) * found.strengths[split.name][0])
        for k in range(3):
            model = LogisticRegression(C=c, tol=1e-10, max_iter=10_000)
            model.fit((trained - mean) / deviation, items.labels[rows, k])
            logits = model.decision_function(tested)
            values.append(average_precision_score(items.labels[split.test, k], logits))
    assert found.per_draw[0] == pytest.approx(np.mean(values), abs=2e-3)
    assert found.per_class >= 5


def test_all_is_the_cells_own_score_and_more_clips_than_there_are_give_all() -> None:
    _, scored, splits, (one, many, every) = measured("class", (1, 1000, "all"))
    linear = scored.scores["linear"]
    assert (every.value, every.interval) == (linear.value, linear.interval)
    assert every.per_draw == []
    assert every.clips == many.clips == np.mean([len(split.given_train) for split in splits])
    assert many.short == 3
    assert one.clips == 3
    chosen = {strength for part in one.strengths.values() for strength in part}
    assert chosen == {1e-2}  # there was nothing to choose on
    assert one.value < every.value


def test_the_interval_covers_the_sources_and_the_draws() -> None:
    """Worked out again: Clopper and Pearson's for the items that would have both variances."""
    items, _, splits, (found,) = measured("class", (2,))
    right = np.stack([right_by_scikit_learn(items, splits, found, n, 2) for n in range(10)])
    assert found.per_draw == pytest.approx(right.mean(axis=1))
    tested = items.sources[np.concatenate([split.test for split in splits])]
    value, sources = right.mean(), np.unique(tested)
    without = np.array([right[:, tested != source].mean() for source in sources])
    sizes, g = np.array([(tested == source).sum() for source in sources]), len(sources)
    of_sources = (g - 1) / g * ((without - value) ** 2).sum()
    of_draws = np.var(right.mean(axis=1), ddof=1) / 10
    both = of_sources + of_draws
    freedom = both**2 / (
        of_sources**2 / (sizes.sum() ** 2 / (sizes**2).sum() - 1) + of_draws**2 / 9
    )
    alike = value * (1 - value) / both * (norm.ppf(0.025) / student.ppf(0.025, freedom)) ** 2
    centre = g * value - (g - 1) * without.mean()
    low = beta.ppf(0.025, alike * centre, alike * (1 - centre) + 1)
    high = beta.ppf(0.975, alike * centre + 1, alike * (1 - centre))
    assert found.interval == pytest.approx([low, high], abs=1e-9)
    assert of_draws > 0.02 * of_sources > 0  # neither could be left out unseen


def test_with_few_sources_there_is_no_interval() -> None:
    items = make_items("class", FOLDS)
    same = dataclasses.replace(items, sources=np.arange(len(items)) % 4)
    spec = make_spec("class", {name: f"{name}.tar" for name in FOLDS}, folds=True)
    score = score_items(same, spec, STRICT).scores["linear"]
    add_shots(score, same, spec, STRICT, (2,))
    (found,) = score.shots or []
    assert found.interval is None
    assert found.spread


# through the command


def run(task: Path, data: Path, results: Path, *words: str) -> int:
    return main(
        ["--encoder", "logmel", "mfcc", "--tasks", str(task), "--data", str(data),
         "--results", str(results), *words]
    )  # fmt: skip


def results_in(folder: Path) -> dict[str, RunResult]:
    found = [read_result(path) for path in folder.rglob("toy.json")]
    return {result.encoder.name: result for result in found}


def test_asked_for_later_it_leaves_all_else_as_it_was(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, data = toy()
    assert run(task, data, tmp_path / "r") == 0
    before = results_in(tmp_path / "r")
    assert run(task, data, tmp_path / "r", "--shots", "4,all") == 0
    first = results_in(tmp_path / "r")
    assert run(task, data, tmp_path / "r", "--shots", "2") == 0
    both = results_in(tmp_path / "r")
    text = {path: path.read_bytes() for path in (tmp_path / "r").rglob("toy.json")}
    assert run(task, data, tmp_path / "r") == 0  # and without, what is there is kept
    assert {path: path.read_bytes() for path in text} == text
    for name, was in before.items():
        assert was.scores["linear"].shots is None
        assert [one.shots for one in first[name].scores["linear"].shots or ()] == [4, "all"]
        shots = both[name].scores["linear"].shots or []
        assert [one.shots for one in shots] == [2, 4, "all"]
        assert shots[1:] == first[name].scores["linear"].shots
        assert both[name].command.endswith(" --shots 2,4,all")
        now = json.loads(both[name].to_json())
        now["scores"]["linear"]["shots"], now["command"] = None, was.command
        assert now == json.loads(was.to_json())
    drawn = {
        name: [one.subsets for one in result.scores["linear"].shots or ()]
        for name, result in both.items()
    }
    assert drawn["logmel"] == drawn["mfcc"]
    assert len(set(drawn["logmel"])) == 3
    assert "label efficiency" in capsys.readouterr().out


def test_in_one_go_the_numbers_are_the_same(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    task, data = toy()
    (once,) = evaluate("logmel", str(task), data=data, results=tmp_path / "a", shots=["all", 4, 2])
    evaluate("logmel", str(task), data=data, results=tmp_path / "b")
    evaluate("logmel", str(task), data=data, results=tmp_path / "b", shots=[4])
    (later,) = evaluate("logmel", str(task), data=data, results=tmp_path / "b", shots=[2, "all"])
    assert later.scores == once.scores
    assert later.inputs == once.inputs


@pytest.mark.parametrize("shots", ["0", "8,8", "x", "", "8,", "-1", "1.5", "all,all"])
def test_bad_shots_are_one_line_and_status_2(
    shots: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--encoder", "logmel", f"--shots={shots}"])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if "error:" in line]
    assert "--shots" in line
    assert "as in 8,32,128,all" in line
    assert "Traceback" not in err


def test_a_protocol_without_logistic_regression_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--encoder", "logmel", "--tasks", "esc50", "--data", "synthetic", "--shots", "8"]
    assert main([*words, "--protocol", "xares-0.1.3"]) == 2
    assert "xares-0.1.3" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"xares-0\.1\.3"):
        evaluate("logmel", "esc50", data=tmp_path, protocol="xares-0.1.3", shots=[8])
    for wrong in ("8", 8, [True], [0], [8, 8], ["8"]):
        with pytest.raises(ValueError, match="shots must"):
            checked_shots(wrong)


def test_tasks_without_classes_are_named_and_stay_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--encoder", "logmel", "--tasks", "clotho", "vocalsound", "--data", "synthetic"]
    words += ["--limit", "12", "--results", str(tmp_path / "r"), "--shots", "1", "--seeds", "1"]
    main(words)
    out, err = capsys.readouterr()
    assert "--shots: not applicable to clotho: no classes of clips\n" in err
    found = {r.task.name: r for r in map(read_result, (tmp_path / "r").rglob("*.json"))}
    assert found["clotho"].scores["linear"].shots is None
    assert "--shots" not in found["clotho"].command
    assert "not applicable to clotho" in " ".join(out.split())


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "--shots 8,32,128,all" in " ".join(capsys.readouterr().out.split())


# in tables


def test_older_files_are_read_and_nan_comes_back(tmp_path: Path) -> None:
    result = make_result("esc50", 0.5)
    raw = json.loads(result.to_json())
    del raw["scores"]["linear"]["shots"]
    assert RunResult.from_json(json.dumps(raw)).scores["linear"].shots is None
    shots = ShotScore(8, float("nan"), None, [float("nan"), 0.5], None)
    result.scores["linear"].shots = [shots]
    (back,) = RunResult.from_json(result.to_json()).scores["linear"].shots or []
    assert np.isnan([back.value, back.per_draw[0], back.clips]).all()
    assert back.per_draw[1] == 0.5
