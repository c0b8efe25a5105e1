"""What the page shows of codecs."""

from __future__ import annotations

from pathlib import Path

import reconstruction_files
from webpage_files import page_of, write_codec

from earmark.benchmark.reconstruction import result as codec_result


def test_codecs_have_their_table_with_what_reproduces_a_row(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a"])
    codec_result.write_result(
        tmp_path, reconstruction_files.make_result("dac", error="no sound"), ""
    )
    _, content = page_of(tmp_path)
    assert content["tables"] == []
    rows = {row["name"]: row for board in content["codecs"] for row in board["rows"]}
    assert rows["mulaw"]["scores"]["pesq_wb"] == [4.0, 3.9, 4.1, 0]
    assert rows["mulaw"]["facts"]["values_per_second"] == 1600.0
    assert content["facts"][rows["mulaw"]["details"]["encoder"]]["name"] == "mulaw"
    assert rows["dac"]["status"] == "failed"
    assert rows["dac"]["details"]["error"] == "no sound"
