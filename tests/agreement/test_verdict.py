"""Verdicts in their order: worst first, by the difference over the tolerance."""

from __future__ import annotations

from reference_files import Shell, write


def test_worst_first(shell: Shell) -> None:
    """By the difference over the tolerance: breaches, what was not checked, the rest."""
    for task, value, high in (
        ("fine", 0.501, 0.6), ("far", 0.9, 0.51), ("near", 0.6, 0.52), ("wide", 0.65, 0.7),
        ("half", 0.51, 0.51), ("gone", None, 0.6),
    ):  # fmt: skip
        write(shell.theirs, task, 0.5, interval=[0.4, high])
        if value is not None:
            write(shell.mine, task, value, interval=[0.4, high])
    assert [(c["task"], c["verdict"]) for c in shell.cells()] == [
        ("far", "breach"), ("near", "breach"), ("gone", "not checked"), ("wide", "ok"),
        ("half", "ok"), ("fine", "ok"),
    ]  # fmt: skip
    shell()
    places = [shell.out.index(f" {name} ") for name in ("far", "near", "gone", "wide", "half")]
    assert places == sorted(places)
    assert "2 breaches, 1 not checked, 3 ok: against" in shell.said[-len(str(shell.theirs)) - 60 :]
