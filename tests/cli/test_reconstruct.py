"""`reconstruct` and `leaderboard --reconstruction` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import audio_bytes
from reconstruction_files import InThisProcess, make_result, voice, write_clips

from earmark.benchmark.agreement.reconstruction import read_codecs
from earmark.benchmark.cli.main import main
from earmark.benchmark.reconstruction import evaluator as running
from earmark.benchmark.reconstruction.result import write_result


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "speed", lambda codec, device: 5.0)
    monkeypatch.setattr("earmark.benchmark.reconstruction.run.Workers", InThisProcess)


def test_a_run_prints_its_table_and_writes_all_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_clips(tmp_path / "data", 3)
    results = tmp_path / "results"
    words = ["reconstruct", "--encoder", "mulaw", "identity", "--data", str(data)]
    assert main([*words, "--results", str(results)]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    names = [line[0] for line in lines if line and line[0] in ("mulaw", "identity")]
    assert names[:2] == ["identity", "mulaw"]  # best first
    assert "real data, 3 clips of 3 sources (file)" in " ".join(out.split())
    assert "done    mulaw · data: PESQ-wb" in err
    for name in ("reconstruction.md", "reconstruction.csv"):
        assert "identity" in (results / name).read_text()
    assert main(["leaderboard", "--reconstruction", "--results", str(results)]) == 0
    assert capsys.readouterr().out == out
    for form, start in (("markdown", "**data ["), ("csv", "data,codec,origin")):
        words = ["leaderboard", "--reconstruction", "--results", str(results), "--format", form]
        assert main(words) == 0
        assert capsys.readouterr().out.startswith(start)
        assert main([*words, "--out", str(tmp_path / "table")]) == 0
        assert (tmp_path / "table").read_text().startswith(start)
    # the leaderboard of tasks does not trip over them
    assert main(["leaderboard", "--results", str(results)]) == 2
    assert "left out" not in capsys.readouterr().err


def test_synthetic_tables_have_files_of_their_own(tmp_path: Path) -> None:
    words = ["reconstruct", "--encoder", "identity", "--data", "synthetic", "--limit", "1"]
    assert main([*words, "--results", str(tmp_path)]) == 0
    assert "SYNTHETIC" in (tmp_path / "reconstruction.synthetic.md").read_text()
    assert not (tmp_path / "reconstruction.md").exists()


@pytest.mark.parametrize(("words", "said"), [
    (["--encoder", "mulow", "--data", "DATA"], "did you mean 'mulaw'?"),
    (["--encoder", "mfcc", "--data", "DATA"], "'mfcc' cannot decode"),
    (["--encoder", "mulaw", "--data", "nowhere"], "no folder or file nowhere"),
    (["--encoder", "mulaw", "--data", "DATA", "--preset", "seed"], "preset must be one of"),
    (["--encoder", "mulaw", "--data", "DATA", "--preset", "musdb18"], "expected TRACK/mixture.wav"),
    (["--encoder", "mulaw", "--data", "DATA", "--source-key", "("], "not a regular expression"),
    (["--encoder", "mulaw", "--data", "DATA", "--rates", "100"], "rates must be 8000 to"),
    (["--encoder", "mulaw", "--data", "DATA", "--results", "FILE"], "cannot be written"),
])  # fmt: skip
def test_what_cannot_start_says_why_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    data = write_clips(tmp_path / "data", 1, 0.1)
    places = {"DATA": str(data), "FILE": str(data / "s0-0.wav")}
    words = [places.get(word, word) for word in words]
    if "--results" not in words:
        words += ["--results", str(tmp_path / "results")]
    assert main(["reconstruct", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_data_set_that_fails_is_shown_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_clips(tmp_path / "good", 1, 0.5)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.wav").write_bytes(b"nothing")
    words = ["reconstruct", "--encoder", "identity", "--data", str(bad), str(good)]
    assert main([*words, "--results", str(tmp_path / "results")]) == 3
    out, err = capsys.readouterr()
    assert "failed  identity · bad: 1 of 1 clips failed" in err
    assert "done    identity · good" in err
    assert "failed: identity: 1 of 1 clips failed" in " ".join(out.split())


def test_a_data_set_that_fails_leaves_another_of_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_clips(tmp_path / "good" / "wavs", 1, 0.2)
    bad = tmp_path / "bad" / "wavs"
    bad.mkdir(parents=True)
    (bad / "a.wav").write_bytes(b"nothing")
    words = ["--data", str(good), str(bad), "--results", str(tmp_path / "results")]
    assert main(["reconstruct", "--encoder", "identity", *words]) == 3
    out, err = capsys.readouterr()
    assert "PESQ-wb not computable" in err  # of 0.2 s
    assert "100.00" in out and "failed: identity: 1 of 1 clips failed" in " ".join(out.split())
    kept, _ = read_codecs(tmp_path / "results")
    assert sorted(result.status for result in kept) == ["done", "failed"]
    # the same place mended: nothing of the failure is left
    (bad / "a.wav").write_bytes((good / "s0-0.wav").read_bytes())
    assert main(["reconstruct", "--encoder", "identity", *words]) == 0
    assert not list((tmp_path / "results").rglob("*.failed.*"))


def test_without_the_packages_one_line_says_what_they_are_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.wav").write_bytes(audio_bytes(voice(0.5), 16_000))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = ["reconstruct", "--encoder", "identity", "--data", str(data)]
    assert main([*words, "--results", str(tmp_path / "results")]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == (
        "not measured: PESQ-wb, PESQ-nb, STOI, ESTOI; they need pesq and pystoi: "
        "pip install -e '.[reconstruction]'"
    )
    assert "mel 16k" in out
    assert main([*words, "--plots", str(tmp_path), "--results", str(tmp_path / "results")]) == 2
    assert "needs matplotlib" in capsys.readouterr().err


def test_the_leaderboard_without_results_and_with_damaged_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["leaderboard", "--reconstruction", "--results", str(tmp_path)]
    assert main(words) == 2
    assert "no reconstruction result" in capsys.readouterr().err
    write_result(tmp_path, make_result(known_as="seed_tts_zh"), "key\n")
    (tmp_path / "x.reconstruction.json").write_text("{")
    assert main(words) == 3
    out, err = capsys.readouterr()
    assert "left out: " in err
    assert "DashengTokenizer [dt_paper_via_wiki] *" in out
    for more in (["--out", str(tmp_path / "t")], ["--format", "latex"], ["--with-published"]):
        assert main([*words, *more]) == 2
