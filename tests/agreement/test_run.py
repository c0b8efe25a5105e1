"""`check` as a whole: results that agree, what cannot start, and the call from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_files import Shell, write

from earmark import check
from earmark.benchmark.agreement.run import CheckError, Tolerance
from earmark.benchmark.result.files import read_result


def test_equal_results_agree(shell: Shell) -> None:
    for folder in (shell.mine, shell.theirs):
        write(folder, "one", 0.5, 0.25, interval=[0.4, 0.6])
        write(folder, "two", 0.75, encoder="mfcc")
    for exact in ([], ["--exact"]):
        assert shell(*exact) == 0
        assert "0 breaches, 0 not checked, 3 ok" in shell.said
    assert "3 cells were made on one kind of machine" in shell.said
    for cell in shell.cells():
        assert (cell["difference"], cell["verdict"]) == (0, "ok")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--encoder", "logmell"], "did you mean 'logmel'?"),
        (["--encoder", "logmel=mfc"], "no encoder of the reference 'mfc'"),
        (["--tasks", "onee"], "did you mean 'one'?"),
        (["--floor", "-1"], "floor must be a share from 0 to 1"),
        (["--floor", "nan"], "floor must be a share from 0 to 1"),
        (["--changed", "2"], "changed must be a share from 0 to 1"),
        (["--results", "no/such"], "no folder no/such"),
        (["--against", "no/such"], "no folder no/such"),
        (["--against", "."], "no result file under ."),
        (["--out", "x"], "--out needs --format"),
    ],
)
def test_what_cannot_start(
    shell: Shell, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (shell.mine, shell.theirs):
        write(folder)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert shell(*words) == 2
    assert said in shell.err
    assert len(shell.err.splitlines()) == 1
    assert shell.out == ""


def test_in_python(shell: Shell) -> None:
    write(shell.theirs, interval=[0.4, 0.6])
    path, _ = write(shell.mine, linear=0.55, interval=[0.4, 0.6])
    found = check(shell.mine, against=shell.theirs)
    (cell,) = found.cells
    assert (found.status, cell.verdict) == (0, "ok")
    assert cell.tolerance == pytest.approx(0.1)
    assert cell.measured == read_result(path).scores["linear"].value
    assert check(shell.mine, against=shell.theirs, rule=Tolerance(intervals=False)).status == 1
    with pytest.raises(CheckError, match="no folder"):
        check(shell.mine, against=Path("published"))  # a Path is a folder
