"""What is said of names that are not known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.encoders.hints import nearest, no_such_output
from earmark.encoders.schemes import SCHEMES


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("logmle", "logmel"),
        ("whisper-larg-v3", "whisper-large-v3"),
        ("hugginface:facebook/x", "hf:facebook/x"),
        ("transformers:facebook/x", "hf:facebook/x"),
        ("HF:facebook/x", "hf:facebook/x"),
        ("haer:hearbaseline.naive", "hear:hearbaseline.naive"),
        ("torch-audio:HUBERT_BASE", "torchaudio:HUBERT_BASE"),
        ("facebook/hubert-base-ls960", "hf:facebook/hubert-base-ls960"),
        ("facebook/hubert-base-ls960@1c513b9", "hf:facebook/hubert-base-ls960@1c513b9"),
        ("WAV2VEC2_XLSR_300M", "torchaudio:WAV2VEC2_XLSR_300M"),
    ],
)
def test_what_was_meant(name: str, meant: str) -> None:
    assert nearest(name) == f"did you mean {meant!r}?"


def test_a_folder_of_a_model_is_offered_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "10k").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert nearest("runs/10k") == "see `run_bench.py list encoders`"
    (tmp_path / "runs" / "10k" / "config.json").write_text("{}")
    assert nearest("runs/10k") == "did you mean 'hf:runs/10k'?"


@given(st.text(max_size=300))
def test_any_name_has_a_hint_in_one_line(name: str) -> None:
    said = nearest(name)
    assert said.startswith(("did you mean ", "see ")) and "\n" not in said


def test_outputs_of_places() -> None:
    assert no_such_output("hf:a/b", "a/b") == ""
    assert no_such_output("hf:C:\\models\\mine", "C:\\models\\mine") == ""
    assert "did you mean 'hf:a/b:quantized'?" in no_such_output("hf:a/b:quantised", "a/b:quantised")
    assert "ask for 'hear:m' alone" in no_such_output("hear:m:layer-1", "m:layer-1")
    assert {"hf", "hear", "torchaudio"} <= set(SCHEMES)
