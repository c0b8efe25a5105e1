"""Published values beside measured ones: where they may not stand, in one line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_results import XARES, measured, only_table, refusal
from result_files import make_result

from earmark.benchmark.leaderboard.board import Leaderboard


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "strict"}, "the results here: strict on real data. "),
        ({"synthetic": True}, f"the results here: {XARES} on synthetic data. "),
        ({"limit": 20}, f"the results here: {XARES} on real data, limit 20. "),
        (
            {"protocol": {"name": XARES, "failed_share": 0.5}},
            f"the results here: {XARES} (failed_share=0.5) on real data. ",
        ),
    ],
)
def test_what_may_not_stand_beside_them_is_refused(changes: dict[str, Any], said: str) -> None:
    line = refusal(Leaderboard([measured(**changes)]))
    assert said in line
    assert f"Run with --protocol {XARES}, or omit --with-published" in line


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["strict", XARES, "other"]), st.booleans(),
            st.sampled_from([None, 20]), st.sampled_from([1, 5]),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_only_whole_real_tables_of_the_protocol_have_them(
    kinds: list[tuple[str, bool, int | None, int]],
) -> None:
    board = Leaderboard(
        measured(protocol=protocol, synthetic=synthetic, limit=limit, seeds=seeds)
        for protocol, synthetic, limit, seeds in kinds
    )
    allowed = [
        protocol == XARES and not synthetic and limit is None
        for protocol, synthetic, limit, _ in kinds
    ]
    if not any(allowed):
        assert "published values stand only beside" in refusal(board)
        return
    for table in board.with_published().tables:
        may = table.protocol == XARES and not table.synthetic and table.limit is None
        assert bool(table.published) == may
        assert any("[pub" in column for column in table.columns) == may
        told = any(note.startswith("no published values stand here") for note in table.footnotes)
        assert told != may


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dasheng-bas", "no published values of 'dasheng-bas'; did you mean 'dasheng-base'?"),
        ("whisper-large-v3", "did you mean 'Whisper-Large-V3 (encoder)'?"),
        ("WHISPER-BASE", "did you mean 'whisper-base'?"),
        ("xares_redme", "did you mean 'xares_readme'?"),
        ("zzzz", "see `run_bench.py list published`"),
        ("ICME2025:NTT/Probin", "of an earlier or unstated release"),
        ("SPEAR-XLarge", "it has means over tasks only"),
        (
            "DashengTokenizer",
            "no published value is of a task in these tables; it has fsc (linear)",
        ),
    ],
)
def test_names_that_show_nothing_are_refused(name: str, said: str) -> None:
    board = Leaderboard([measured()])
    assert said in refusal(board, "dasheng-base", name)
    assert only_table(board.with_published(["dasheng-base"])).published


def test_tables_without_a_published_task_are_refused() -> None:
    board = Leaderboard([make_result("mine", 0.5, protocol=XARES, seeds=1)])
    for names in ([], ["all"]):
        assert "no published value is of a task in these tables" in refusal(board, *names)
