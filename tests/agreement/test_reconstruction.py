"""`check` on reconstruction: against published values and against reference results."""

from __future__ import annotations

from pathlib import Path

import pytest
from reconstruction_files import make_result, make_score

from earmark.benchmark.agreement.run import CheckError, check
from earmark.benchmark.cli.main import main
from earmark.benchmark.reconstruction.result import ReconstructionResult, write_result


def write(folder: Path, *results: ReconstructionResult) -> Path:
    for result in results:
        write_result(folder, result, "key\n")
    return folder


def dasheng(pesq: float, stoi: float, **changes: object) -> ReconstructionResult:
    values = {"pesq_wb": pesq, "stoi": stoi, "mel_distance_16k": 0.4}
    scores = {
        name: make_score(name, v, interval=[v - 0.03, v + 0.05]) for name, v in values.items()
    }
    facts = {"known_as": "seed_tts_zh", "data": "seed_tts_zh"} | changes
    return make_result("dasheng", {}, scores=scores, **facts)  # type: ignore[arg-type]


def test_published_values_of_the_data_set_are_held_against_it(tmp_path: Path) -> None:
    # DashengTokenizer on SEED-TTS zh: PESQ 4.163, STOI 0.988
    found = check(write(tmp_path, dasheng(4.12, 0.90)), against="published")
    verdicts = {cell.metric: (cell.verdict, cell.reference) for cell in found.cells}
    assert verdicts == {"pesq_wb": ("ok", 4.163), "stoi": ("breach", 0.988)}
    (breach,) = found.of("breach")
    assert breach.why[0] == "off by -0.088, more than 0.050"
    assert "not confirmed" in breach.why[1]
    assert found.status == 1


def test_what_was_measured_otherwise_is_not_held_against_them(tmp_path: Path) -> None:
    for changes in ({"known_as": None}, {"limit": 5}, {"synthetic": True}):
        folder = write(tmp_path / str(changes), dasheng(1.0, 0.1, **changes))
        with pytest.raises(CheckError, match="nothing to check"):
            check(folder, against="published")


def test_what_has_no_value_is_not_checked(tmp_path: Path) -> None:
    lone = make_result("dasheng", {"pesq_wb": 4.16}, known_as="seed_tts_zh")
    found = check(write(tmp_path / "a", lone), against="published")
    assert {cell.metric: cell.verdict for cell in found.cells} == {
        "pesq_wb": "ok", "stoi": "not checked",
    }  # fmt: skip
    failed = make_result("dasheng", known_as="seed_tts_zh", error="disk full")
    found = check(write(tmp_path / "b", lone, failed), against="published")
    assert {cell.verdict for cell in found.cells} == {"not checked"}
    assert "disk full" in found.cells[0].why[0]


def test_reference_results_by_codec_and_data(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", make_result("mulaw", {"stoi": 0.9, "pesq_wb": 4.0}))
    same = write(tmp_path / "same", make_result("mulaw", {"stoi": 0.9, "pesq_wb": 4.0}))
    found = check(same, against=reference)
    assert (found.status, len(found.of("ok"))) == (0, 2)
    moved = make_result("mulaw", {"stoi": 0.7, "pesq_wb": 4.05}, fingerprint="bb")
    found = check(write(tmp_path / "moved", moved), against=reference)
    assert {cell.metric: cell.verdict for cell in found.cells} == {
        "stoi": "breach", "pesq_wb": "ok",
    }  # fmt: skip
    lost = make_result("mulaw", {"pesq_wb": 4.0}, scores={
        "stoi": make_score("stoi", 0.9, items=19, not_computed=1)})  # fmt: skip
    found = check(write(tmp_path / "lost", lost), against=reference)
    (breach,) = found.of("breach")
    assert "19 test items, in the reference 20" in breach.why
    other = make_result("mulaw", {"stoi": 0.9, "pesq_wb": 4.0}, digest="ee" * 32)
    found = check(write(tmp_path / "other", other), against=reference)
    assert {cell.why for cell in found.cells} == {
        ("measured on other clips or with other settings",)
    }
    assert found.status == 3
    more = write(tmp_path / "more", make_result("mulaw", {"stoi": 0.9, "pesq_wb": 4.0}),
                 make_result("snac"))  # fmt: skip
    assert check(more, against=reference).beyond == ("snac, reconstruction: clips",)
    assert len(check(more, against=reference, encoders=["mulaw"], tasks=["clips"]).cells) == 2
    with pytest.raises(CheckError, match="did you mean 'mulaw'"):
        check(more, against=reference, encoders=["mulow"])
    gone = check(write(tmp_path / "gone", make_result("snac")), against=reference)
    assert {cell.why for cell in gone.cells} == {("not measured",)}


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, dasheng(4.12, 0.90))
    assert main(["check", "--results", str(folder), "--against", "published"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "stoi 0.900 0.988 -0.088 0.050" in out
    assert "not confirmed" in out


def test_a_table_of_clips_that_was_changed_is_a_breach(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference", make_result("mulaw", {"stoi": 0.9}))
    mine = write(tmp_path / "mine", make_result("mulaw", {"stoi": 0.9}))
    known = write(tmp_path / "known", dasheng(4.163, 0.988))
    assert check(mine, against=reference).status == 0
    assert check(known, against="published").status == 0
    for folder, against in ((mine, reference), (known, "published")):
        (table,) = folder.rglob("*.clips.csv")
        table.write_text("kex\n")
        found = check(folder, against=against)
        assert found.status == 1
        (why,) = {line for cell in found.cells for line in cell.why}
        assert why.startswith(str(table))
        table.unlink()  # references are stored without
        assert check(folder, against=against).status == 0
