"""Pairs to hear and to look at: kept without loss, short, and within the room."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import soundfile
from PIL import Image
from webpage_files import content_of, page_of, write_codec, write_pair

from earmark import report
from earmark.benchmark.reconstruction import result as codec_result
from earmark.benchmark.reconstruction.measure import plot_file, sound_files
from earmark.benchmark.webpage.pairs import Shelf


def media(content: Any, name: str) -> bytes:
    return base64.b64decode(content["media"][name].split(",", 1)[1])


def test_pairs_are_kept_without_loss_and_short(tmp_path: Path) -> None:
    for number, codec in enumerate(("mulaw", "dac")):
        write_codec(tmp_path, codec, ["c/1", "c/2"])
        samples = write_pair(tmp_path, codec, "clips", "c/1", number)
    _, content = page_of(tmp_path, audio=tmp_path / "audio", plots=tmp_path / "plots")
    (board,) = content["codecs"]
    (pair,) = board["pairs"]  # of c/2 nothing was saved
    assert pair["key"] == "c/1"
    assert set(pair["codecs"]) == {"mulaw", "dac"}
    heard, rate = soundfile.read(
        io.BytesIO(media(content, pair["codecs"]["dac"]["decoded"])), dtype="int16"
    )
    assert rate == 4000
    assert (heard == samples[: 6 * 4000]).all()
    assert content["media"][pair["reference"]].startswith("data:audio/flac;base64,")
    picture = Image.open(io.BytesIO(media(content, pair["codecs"]["mulaw"]["picture"])))
    assert (picture.format, picture.width) == ("WEBP", 820)


def test_pairs_end_where_the_room_does_and_say_so(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a", "b"])
    for key in "ab":
        write_pair(tmp_path, "mulaw", "clips", key, ord(key))
    results, _ = codec_result.read_results(tmp_path)
    shelf = Shelf(tmp_path / "audio", tmp_path / "plots", room=120_000)
    shelf.pairs_of({"mulaw": results[0]})
    assert 0 < sum(map(len, shelf.media.values())) <= 120_000
    assert any("left out: no room" in note for note in shelf.notes)


def test_sounds_of_two_codecs_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    for print_ in ("a" * 10, "b" * 10):
        write_codec(tmp_path, "mulaw", ["a"], fingerprint=print_)
    write_codec(tmp_path, "dac", ["a"])
    for codec in ("mulaw", "dac"):
        write_pair(tmp_path, codec, "clips", "a")
    made = report(tmp_path, tmp_path / "page.html", audio=tmp_path / "audio")
    (board,) = content_of(made.paths[0].read_text())["codecs"]
    assert {row["name"] for row in board["rows"]} == {"mulaw@aaaaaaaa", "mulaw@bbbbbbbb", "dac"}
    (pair,) = board["pairs"]
    assert set(pair["codecs"]) == {"dac"}
    said = " ".join(made.notes)
    assert "of mulaw@aaaaaaaa:" in said
    assert "of mulaw@bbbbbbbb:" in said


def test_a_folder_without_sounds_of_the_results_is_said(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a"])
    write_pair(tmp_path, "mulaw", "other-clips", "a")
    made = report(tmp_path, tmp_path / "page.html", audio=tmp_path / "audio")
    assert made.notes == [f"no sounds or pictures of clips under {tmp_path / 'audio'}"]


def test_of_two_folders_with_one_codec_the_later_is_shown(tmp_path: Path) -> None:
    for number, folder in enumerate(("old", "new")):
        write_codec(
            tmp_path / folder, "mulaw", ["a"], place=folder, values={"pesq_wb": 3.0 + number}
        )
    made = report([tmp_path / "old", tmp_path / "new"], tmp_path / "page.html")
    (board,) = content_of(made.paths[0].read_text())["codecs"]
    (row,) = board["rows"]
    assert row["scores"]["pesq_wb"][0] == 4.0
    assert "stands for" in made.notes[0]


def test_a_sound_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    write_codec(tmp_path, "mulaw", ["a"])
    write_pair(tmp_path, "mulaw", "clips", "a")
    sound_files(tmp_path / "audio", "mulaw", "clips", "a", None)[1].write_bytes(b"no sound")
    plot_file(tmp_path / "plots", "mulaw", "clips", "a", None).write_bytes(b"no picture")
    made = report(
        tmp_path, tmp_path / "page.html", audio=tmp_path / "audio", plots=tmp_path / "plots"
    )
    assert any("cannot be heard" in note for note in made.notes)
    assert any("cannot be shown" in note for note in made.notes)
