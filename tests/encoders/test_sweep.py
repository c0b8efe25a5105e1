"""Several encoders from one text."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.encoders import EncoderError
from earmark.encoders.sweep import expand, natural, titled


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("10k.pt", "9k.pt", "100k.pt", "notes.txt", "a, b.ckpt"):
        (tmp_path / "runs" / name).touch()
    return tmp_path


def test_a_pattern_stands_for_its_files_in_the_order_of_their_numbers(runs: Path) -> None:
    assert expand("m.py:M(ckpt={runs/*.pt}, layer=6):permuted") == [
        ("m.py:M(ckpt=runs/9k.pt, layer=6):permuted", "ckpt=9k"),
        ("m.py:M(ckpt=runs/10k.pt, layer=6):permuted", "ckpt=10k"),
        ("m.py:M(ckpt=runs/100k.pt, layer=6):permuted", "ckpt=100k"),
    ]
    assert expand("m.py:M(ckpt={runs/*.ckpt})") == [("m.py:M(ckpt='runs/a, b.ckpt')", "")]


def test_a_list_stands_for_its_values_and_two_for_every_pair(runs: Path) -> None:
    assert expand("m(a={1, 2.5, true, x, 'b, c', [1, 2]})") == [
        ("m(a=1)", "a=1"), ("m(a=2.5)", "a=2.5"), ("m(a=true)", "a=True"), ("m(a=x)", "a=x"),
        ("m(a='b, c')", "a=b, c"), ("m(a=[1, 2])", "a=[1, 2]"),
    ]  # fmt: skip
    assert [one.text for one in expand("m(a={1,2}, b={runs/9*.pt,runs/10k.pt})")] == [
        "m(a=1, b=runs/9k.pt)", "m(a=1, b=runs/10k.pt)", "m(a=2, b=runs/9k.pt)",
        "m(a=2, b=runs/10k.pt)",
    ]  # fmt: skip
    assert [one.varies for one in expand("m(a={1,2}, b={3,4}, c=5)")] == [
        "a=1, b=3", "a=1, b=4", "a=2, b=3", "a=2, b=4",
    ]  # fmt: skip
    assert [one.text for one in expand("m(ckpt=runs/{a,b}/best.pt)")] == [
        "m(ckpt=runs/a/best.pt)", "m(ckpt=runs/b/best.pt)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["runs/10k.pt", "runs/20k.pt"], ["10k", "20k"]),
        (["runs/a/best.pt", "runs/b/best.pt"], ["a", "b"]),
        (["x/runs/a/1.pt", "x/runs/b/1.pt", "x/runs/b/2.pt"], ["a/1", "b/1", "b/2"]),
        (["runs/a.pt", "runs/a.bin"], ["a.pt", "a.bin"]),
        (["v1.5", "v1.25"], ["v1.5", "v1.25"]),
        (["base", "large"], ["base", "large"]),
    ],
)
def test_columns_are_named_after_what_differs(values: list[str], shown: list[str]) -> None:
    found = expand(f"m(ckpt={{{','.join(values)}}})")
    assert [one.varies for one in found] == [f"ckpt={one}" for one in shown]


def test_what_has_no_braces_stands_for_itself() -> None:
    for text in ("logmel", "a {b}.py:M", "m(a='{1,2}')", "m(a=[1, 2])"):
        assert expand(text) == [(text, "")]
    assert titled({"ckpt": "runs/10k.pt", "layer": 6, "mode": "a.b", "x": [1, "y"]}) == (
        "ckpt=10k, layer=6, mode=a, x=[1, y]"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m(a={runs/*.bin})", r"character 6: no file fits runs/\*\.bin \(looked in .*runs\)"),
        ("m(a={})", "character 5: a value is missing"),
        ("m(a={1,,2})", "character 5: a value is missing"),
        ("m(a={1,2)", "character 5: the brace is not closed"),
        ("m(a=runs/{*.pt})", "a pattern of files must be the whole of a value"),
        ("m(b={1,2}, a=f(x))", "into quotes"),
    ],
)
def test_braces_that_stand_for_nothing_are_refused(runs: Path, text: str, said: str) -> None:
    with pytest.raises(EncoderError, match=said) as raised:
        expand(text)
    assert "\n" not in str(raised.value)


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    names = ["b", "a10b2", "a9", "10", "9", "a10b1"]
    assert sorted(names, key=natural) == ["9", "10", "a9", "a10b1", "a10b2", "b"]
