"""What is said where a published model cannot be fetched, or a copy of it is damaged."""

from __future__ import annotations

import http.server
import json
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import save

from earmark.encoders import EncoderError, load_encoder
from earmark.encoders.baselines import checkpoint


def refusal(name: str, weights: Path | None = None) -> str:
    with pytest.raises(EncoderError) as caught:
        load_encoder(name, weights=weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Hub(http.server.ThreadingHTTPServer):
    """A hub that answers every request with one status."""

    def __init__(self, status: int) -> None:
        self.status, self.asked = status, list[str]()
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        assert isinstance(self.server, Hub)
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[int], Hub]]:
    hubs = []

    def start(status: int) -> Hub:
        hubs.append(Hub(status))
        threading.Thread(target=hubs[-1].serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{hubs[-1].server_port}"
        monkeypatch.setattr(checkpoint.constants, "ENDPOINT", address)
        monkeypatch.setattr(checkpoint.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(checkpoint.constants, "HF_HUB_OFFLINE", False)
        return hubs[-1]

    yield start
    for one in hubs:
        one.shutdown()
        one.server_close()


def test_hub_that_answers_503_is_asked_once_in_a_process(hub: Callable[[int], Hub]) -> None:
    asked = hub(503).asked
    begun = time.monotonic()
    for name in ("hubert-large", "dac"):
        assert "503 Service Unavailable" in refusal(name)
    assert time.monotonic() - begun < 5
    at = "facebook/hubert-large-ll60k/resolve/1c513b9a0780f7afa32e4480311fa444e56c3a2e"
    assert asked == [f"HEAD /{at}/config.json"]


def test_lack_of_one_repository_is_not_held_against_another(hub: Callable[[int], Hub]) -> None:
    asked = hub(404).asked
    for name in ("wav2vec2", "dac"):
        assert "404 Not Found" in refusal(name)
    assert [line.split("/resolve/")[1] for line in asked] == ["main/config.json"] * 2


def test_root_cause_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "out_of_reach", lambda *_: None)

    def load(*_: Any, **__: Any) -> None:
        try:
            raise ConnectionResetError("reset by the firewall")
        except ConnectionResetError as error:
            raise OSError("We couldn't connect") from error

    found = checkpoint.Checkpoint("toy", "nobody/nothing")
    with pytest.raises(EncoderError, match="couldn't connect: reset by the firewall"):
        checkpoint.load_checkpoint(found, load, None)


@pytest.mark.parametrize("name", ["hubert-large", "whisper-base", "mimi", "snac"])
@pytest.mark.parametrize("size", [4, 1000])
def test_truncated_weights(name: str, size: int, tmp_path: Path) -> None:
    save(name, tmp_path)
    os.truncate(tmp_path / "model.safetensors", size)
    line = refusal(name, tmp_path)
    assert str(tmp_path) in line
    assert "fetch it again" in line


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"model_type": "hubert", "conv_stride": "x"}']
)
def test_config_that_does_not_parse(content: bytes, tmp_path: Path) -> None:
    for file in ("config.json", "preprocessor_config.json"):
        save("hubert-large", tmp_path)
        if file == "preprocessor_config.json" and content.startswith(b'{"'):
            continue
        (tmp_path / file).write_bytes(content)
        line = refusal("hubert-large", tmp_path)
        assert str(tmp_path) in line
        assert "fetch it again" in line


class Evil:
    def __reduce__(self) -> Any:
        return print, ("run",)


def test_pickle_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save("snac", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    for content in (pickle.dumps(Evil()), b""):
        (tmp_path / "pytorch_model.bin").write_bytes(content)
        line = refusal("snac", tmp_path)
        assert str(tmp_path) in line
        assert "fetch it again" in line
    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    assert "fetch it again" in refusal("snac", tmp_path)
    assert capsys.readouterr().out == ""


def test_damaged_copy_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = "1c513b9a0780f7afa32e4480311fa444e56c3a2e"
    folder = tmp_path / "models--facebook--hubert-large-ll60k" / "snapshots" / commit
    save("hubert-large", folder)
    monkeypatch.setattr(checkpoint.constants, "HF_HUB_CACHE", str(tmp_path))
    source = checkpoint.Checkpoint("hubert-large", "facebook/hubert-large-ll60k", commit)
    monkeypatch.setattr(
        checkpoint, "try_to_load_from_cache", lambda *_, **__: str(folder / "config.json")
    )

    def load(*_: Any, **__: Any) -> Any:
        os.truncate(folder / "model.safetensors", 100)
        return load_file(folder / "model.safetensors")

    with pytest.raises(EncoderError, match=f"{folder} .*delete it and fetch it again"):
        checkpoint.load_checkpoint(source, load, None)


def add(folder: Path, *keys: str) -> None:
    path = folder / "model.safetensors"
    save_file(load_file(path) | {key: torch.ones(2) for key in keys}, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("hubert-large", "encoder.layers.7.final_layer_norm.bias"),
        ("whisper-base", "encoder.layers.7.fc1.bias"),
        ("encodec", "quantizer.layers.9.codebook.embed"),
        ("snac", "quantizer.quantizers.9.codebook.weight"),
    ],
)
def test_weights_that_the_model_has_no_place_for_are_refused(
    name: str, key: str, tmp_path: Path
) -> None:
    save(name, tmp_path)
    add(tmp_path, key, "zzz.weight")
    assert key in refusal(name, tmp_path)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-group"])
def test_heads_of_pretraining_and_recognition_are_left_out(name: str, tmp_path: Path) -> None:
    config = save(name, tmp_path).config
    plain = load_encoder("wav2vec2", weights=tmp_path).fingerprint()
    add(tmp_path, "lm_head.weight", "quantizer.codevectors", "project_q.bias", "project_hid.bias")
    assert load_encoder("wav2vec2", weights=tmp_path).fingerprint() == plain
    config.num_codevectors_per_group, config.codevector_dim, config.proj_codevector_dim = 8, 8, 8
    for head in (transformers.Wav2Vec2ForPreTraining, transformers.Wav2Vec2ForCTC):
        head(config).save_pretrained(tmp_path)
        load_encoder("wav2vec2", weights=tmp_path)


def test_weights_of_a_model_that_generates_are_taken(tmp_path: Path) -> None:
    config = save("whisper-base", tmp_path).config
    transformers.WhisperForConditionalGeneration(config).save_pretrained(tmp_path)
    load_encoder("whisper-base", weights=tmp_path)
    add(tmp_path, "proj_out.weight")
    load_encoder("whisper-base", weights=tmp_path)


def extract(folder: Path, **changed: Any) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_fingerprint_of_whisper_sees_its_feature_extraction(tmp_path: Path) -> None:
    save("whisper-base", tmp_path)
    encoder = load_encoder("whisper-base", weights=tmp_path)
    assert encoder.config["extractor"]["hop_length"] == 160
    assert "mel_filters" not in json.dumps(encoder.config)
    plain = encoder.fingerprint()
    # what published copies say besides: the filters, which are computed anew, and a class
    extract(tmp_path, mel_filters=[[0.0]], processor_class="WhisperProcessor")
    assert load_encoder("whisper-base", weights=tmp_path).fingerprint() == plain
    extract(tmp_path, n_fft=512)
    assert load_encoder("whisper-base", weights=tmp_path).fingerprint() != plain


def test_whisper_with_dither_is_refused(tmp_path: Path) -> None:
    save("whisper-base", tmp_path)
    extract(tmp_path, dither=0.5)
    line = refusal("whisper-base", tmp_path)
    assert "dither" in line
    assert "fetch it again" not in line
