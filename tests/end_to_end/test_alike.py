"""Words and options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from leaderboard_tables import only_table
from paired_cells import class_predictions, write_cell
from published_results import measured
from reference_files import write
from result_files import make_result

from earmark import check
from earmark.benchmark.agreement.run import CheckError
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard


@pytest.mark.parametrize("words", [["leaderboard"], ["compare", "A", "B"]])
def test_the_cache_is_where_it_is_said_to_be(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "elsewhere"))
    sources = np.repeat(np.arange(20), 2)
    for encoder, seed in (("A", 1), ("B", 2)):
        right = np.random.default_rng(seed).random((40, 2)) < 0.5
        write_cell(tmp_path / "runs", class_predictions(right, sources), encoder)
    folders = ["--results", str(tmp_path / "runs"), "--cache", str(tmp_path / "here")]
    assert main([*words, *folders]) == 0
    assert list((tmp_path / "here").rglob("*.values"))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["speech"], {"one", "two"}),
        (["music"], {"three"}),
        (["all"], {"one", "two", "three"}),
        (["music", "one"], {"one", "three"}),
        (["somewhere/two.yaml"], {"two"}),
        ([], {"one", "two", "three"}),
    ],
)
def test_check_takes_tasks_as_every_command_does(
    tmp_path: Path, words: list[str], wanted: set[str]
) -> None:
    for folder in ("mine", "theirs"):
        for task, domain in (("one", "speech"), ("two", "speech"), ("three", "music")):
            write(tmp_path / folder, task, domain=domain)
    found = check(tmp_path / "mine", against=tmp_path / "theirs", tasks=words)
    assert {cell.task for cell in found.cells} == wanted
    with pytest.raises(CheckError, match="did you mean 'speech'"):
        check(tmp_path / "mine", against=tmp_path / "theirs", tasks=[*words, "speach"])


def test_a_check_says_what_its_reference_was_measured_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("mine", "theirs"):
        write(tmp_path / folder, synthetic=True, limit=20)
        write(tmp_path / folder, protocol="xares-0.1.3", seeds=1)
    folders = ["--results", str(tmp_path / "mine"), "--against", str(tmp_path / "theirs")]
    assert main(["check", *folders]) == 0
    assert capsys.readouterr().out.count("reference: ") == 2
    main(["check", *folders, "--format", "markdown"])
    lines = capsys.readouterr().out.splitlines()
    assert "- reference: protocol strict, 5 seeds, limit 20, synthetic data" in lines
    assert any("reference: protocol xares-0.1.3" in line and "real data" in line for line in lines)


def test_a_task_of_several_rows_counts_once_in_a_mean() -> None:
    """A sample of ESC-50, the published value of the whole in a row of its own: one task."""
    sample = measured(linear=0.4)
    sample.scores["linear"].items = 80
    board = Leaderboard([sample, measured("crema_d", 0.6)]).with_published(["dasheng-base"])
    (table,) = board.tables
    assert [row.name for row in table.rows].count("esc50") == 2
    for name in ("mean of all", "weighted mean"):
        by_column = table.means("linear")[name].values()
        assert {(mean.tasks, mean.of) for mean in by_column} == {(2, 2)}


def test_a_task_on_two_data_sets_weighs_no_more_than_another() -> None:
    facts = {"encoder": "logmel", "domain": "sound"}
    table = only_table(
        make_result("one", 0.2, shard="01", **facts),
        make_result("one", 0.4, shard="02", **facts),
        make_result("two", 0.9, **facts),
    )
    assert [row.name for row in table.rows].count("one") == 2
    mean = table.means("linear")["mean of all"]["logmel"]
    assert (mean.value, mean.tasks, mean.of) == (pytest.approx((0.3 + 0.9) / 2), 2, 2)


@pytest.mark.parametrize(("seeds", "said"), [(1, True), (2, False)])
def test_with_one_seed_it_is_said_that_training_varies(
    seeds: int,
    said: bool,
    toy: Callable[..., tuple[Path, Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task, data = toy()
    places = ["--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")]
    words = ["--encoder", "logmel", "mfcc", "--tasks", str(task), "--data", str(data),
             "--seeds", str(seeds), *places]  # fmt: skip
    assert main(words) == 0
    assert main(["compare", "logmel", "mfcc", *places]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert ("with one seed, how training varies is not in them" in out) == said
    # logistic regression has no training that could vary
    assert "how training varies is not in it)" not in out
    assert ("seeds are averaged" in out) != said
