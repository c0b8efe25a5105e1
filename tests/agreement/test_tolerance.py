"""How far a score may be from its reference: floors, intervals, and what excuses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_files import Shell, put, write
from result_files import make_score

from earmark.benchmark.agreement.run import Tolerance

# --- the tolerance --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "interval", "words", "status"),
    [
        (0.515, None, [], 0),
        (0.53, None, [], 1),
        (0.47, None, [], 1),
        (0.53, None, ["--floor", 0.05], 0),
        (0.515, None, ["--floor", 0.01], 1),
        (0.505, None, ["--floor", 0], 1),
        # the reference's interval reaches far down, hardly up
        (0.43, [0.40, 0.51], [], 0),
        (0.53, [0.40, 0.51], [], 1),
        (0.39, [0.40, 0.51], [], 1),
        (0.43, [0.40, 0.51], ["--floor-only"], 1),
        # a basic interval of mAP may lie beside its value
        (0.505, [0.40, 0.49], [], 0),
    ],
)
def test_tolerance_is_the_larger_of_floor_and_interval_on_that_side(
    shell: Shell, value: float, interval: list[float] | None, words: list[object], status: int
) -> None:
    write(shell.theirs, linear=0.5, interval=interval)
    write(shell.mine, linear=value, interval=interval)
    assert shell(*words) == status
    (cell,) = shell.cells(*words)
    assert cell["verdict"] == ("ok", "breach")[status]
    assert cell["difference"] == pytest.approx(value - 0.5)


def test_a_measured_interval_excuses_nothing(shell: Shell) -> None:
    """The reference's decides: what is wrong must not widen its own tolerance."""
    write(shell.theirs, linear=0.5, interval=[0.48, 0.52])
    write(shell.mine, linear=0.6, interval=[0.0, 1.0])
    (cell,) = shell.cells()
    assert (cell["verdict"], cell["tolerance"]) == ("breach", pytest.approx(0.02))


@pytest.mark.parametrize("interval", [[0.2, 0.6], [0.4, 0.9], None])
def test_planted_interval(shell: Shell, interval: list[float] | None) -> None:
    write(shell.theirs, linear=0.5, interval=[0.4, 0.6])
    write(shell.mine, linear=0.5, interval=interval)
    assert shell() == 1
    assert "interval" in shell.said
    assert shell("--exact") == 1
    assert "not equal: interval" in shell.said


@pytest.mark.parametrize(
    ("mine", "theirs", "status"), [(None, 0.5, 1), (0.5, None, 1), (None, None, 0)]
)
def test_a_metric_that_cannot_be_computed(
    shell: Shell, mine: float | None, theirs: float | None, status: int
) -> None:
    for folder, value in ((shell.mine, mine), (shell.theirs, theirs)):
        path, result = write(folder, linear=0.5)
        result.scores["linear"] = make_score(np.nan if value is None else value)
        put(folder, result)
        assert path.is_file()
    for exact in ([], ["--exact"]):
        assert shell(*exact) == status
    assert shell("--format", "json") == status  # NaN is no JSON
    assert "NaN" not in shell.out


@pytest.mark.parametrize(("field", "value"), [("items", 49), ("sources", 9), ("not_computed", 3)])
def test_planted_counts(shell: Shell, field: str, value: int) -> None:
    write(shell.theirs)
    _, result = write(shell.mine)
    put(shell.mine, replace(result, scores={"linear": make_score(0.5, **{field: value})}))
    assert shell() == 1
    assert f"{value} " in shell.said


# --- the rule itself ------------------------------------------------------------------------------

shares = st.floats(0, 1)


@given(value=shares, bounds=st.tuples(shares, shares), other=shares, floor=st.floats(0, 0.2))
def test_within_the_widened_interval_and_only_there(
    value: float, bounds: tuple[float, float], other: float, floor: float
) -> None:
    low, high = sorted(bounds)
    allowed = Tolerance(floor=floor).tolerance(make_score(value, [low, high]), other)
    lowest, highest = min(low, value - floor), max(high, value + floor)
    near = min(abs(other - lowest), abs(other - highest)) < 1e-9
    assert near or (abs(other - value) <= allowed) == (lowest <= other <= highest)
