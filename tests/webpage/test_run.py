"""The page of `report` as a whole: its files, its command, and what cannot start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reconstruction_files
from result_files import make_result
from webpage_files import (
    content_of,
    page_of,
    without_scripts,
    write,
)

from earmark import report
from earmark.benchmark.cli.main import main
from earmark.benchmark.reconstruction import result as codec_result

# the tables


def test_synthetic_results_have_a_page_of_their_own_that_says_so(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5, encoder="real-one"))
    write(tmp_path, make_result("esc50", 0.9, encoder="made-up", synthetic=True))
    codec = reconstruction_files.make_result("made-up-codec", synthetic=True)
    codec_result.write_result(tmp_path, codec, "key\n")
    made = report(tmp_path, tmp_path / "page.html")
    assert made.paths == [tmp_path / "page.html", tmp_path / "page.synthetic.html"]
    real, synthetic = (path.read_text(encoding="utf-8") for path in made.paths)
    assert "made-up" not in real
    assert "real-one" not in synthetic
    assert "synthetic" not in without_scripts(real).lower()
    headings = re.findall(r"<h[12]>.*?</h[12]>", without_scripts(synthetic))
    assert len(headings) == 7  # the page's own, five of tasks, one of codecs
    assert all('<span class="mark">synthetic</span>' in heading for heading in headings)
    assert "<title>SYNTHETIC" in synthetic
    assert all(one["caption"].startswith("SYNTHETIC") for one in content_of(synthetic)["tables"])
    again = report(tmp_path, tmp_path / "other.synthetic.html")
    assert again.paths[-1] == tmp_path / "other.synthetic.html"


def test_the_same_files_make_the_same_page(tmp_path: Path) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    one, _ = page_of(tmp_path)
    two, _ = page_of(tmp_path)
    assert one == two


# the command


def test_the_command_writes_the_pages_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    out = tmp_path / "sub" / "page.html"
    assert main(["report", "--results", str(tmp_path), "--out", str(out)]) == 0
    assert out.is_file()
    assert str(out) in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_left_out_and_the_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_result("esc50", 0.5))
    (tmp_path / "broken.json").write_text("{")
    assert main(["report", "--results", str(tmp_path), "--out", str(tmp_path / "p.html")]) == 3
    assert "left out: " in capsys.readouterr().err
    assert (tmp_path / "p.html").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--results", "nowhere"], "no folder nowhere"),
        (["--results", "."], "no result file under ."),
        (["--results", ".", "--out", "."], "is a folder"),
        (["--results", ".", "--out", "/proc/page.html"], "cannot write /proc/page.html: "),
        (["--results", ".", "--out", "file/page.html"], "cannot write file/page.html: "),
        (["--results", ".", "--audio", "nowhere"], "no folder nowhere"),
        (["--results", ".", "--published", "."], "add --with-published"),
    ],
)
def test_what_cannot_start_is_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["report", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "report.html").exists()


def test_without_its_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "vl_convert" else there(name)
    )
    assert main(["report", "--results", str(tmp_path)]) == 2
    assert "vl-convert-python" in (said := capsys.readouterr().err)
    assert "pip install -e '.[report]'" in said
