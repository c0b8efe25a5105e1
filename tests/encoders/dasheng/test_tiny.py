"""`dasheng-tiny`, the small model that comes with Earmark: whole, small, and as its card says."""

from __future__ import annotations

import hashlib
import json
import re
import struct

import numpy as np
import pytest
import torch
from clips import REPOSITORY

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.reconstruction.clips import open_material
from earmark.encoders import EncoderError, load_encoder, load_encoders
from earmark.encoders.dasheng import random_weights
from earmark.encoders.dasheng.config import read_tokenizer_config
from earmark.encoders.dasheng.training import InjectionTraining, SemanticTraining, read_training

FOLDER = REPOSITORY / "encoders" / "dasheng" / "tiny"
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")
HELD_OUT = REPOSITORY.parent / "shared" / "data" / "librispeech" / "test-clean-000000.tar"


def test_it_is_small_half_precision_and_in_the_released_layout() -> None:
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 4_000_000
    with (FOLDER / "model.safetensors").open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    released = random_weights(read_tokenizer_config(FOLDER / "config.json"))
    assert {name: tuple(one["shape"]) for name, one in header.items()} == {
        name: tuple(one.shape) for name, one in released.items()
    }
    floats = {one["dtype"] for name, one in header.items() if "num_batches" not in name}
    assert floats == {"F16"}


def test_the_card_names_what_it_was_made_of_and_by() -> None:
    digest = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert digest in CARD
    encoder = read_training(FOLDER / "encoder.yaml")
    injection = read_training(FOLDER / "injection.yaml")
    assert isinstance(encoder, SemanticTraining) and isinstance(injection, InjectionTraining)
    for training in (encoder, injection):
        assert f"{training.steps} steps" in CARD
    for word in ("CC BY", "ESC-10", "LibriSpeech", "20260223", "not clean", "ablation --out"):
        assert word in CARD, word
    sizes = read_tokenizer_config(FOLDER / "config.json")
    assert sizes == injection.model.with_semantic(encoder.model)
    pictures = re.findall(r"\]\((\S+\.png)\)", CARD)
    assert pictures and all((FOLDER / name).is_file() for name in pictures)


def test_its_outputs_come_from_one_pass_and_add_up() -> None:
    names = ["dasheng-tiny", "dasheng-tiny:semantic", "dasheng-tiny:acoustic"]
    encoders = load_encoders(names)
    assert [encoder.name for encoder in encoders] == names
    audio = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32))
    found = [encoder.encode(audio, torch.tensor([8000])).values for encoder in encoders]
    torch.testing.assert_close(found[0], found[1] + found[2])
    assert len({encoder.fingerprint() for encoder in encoders}) == 3
    with pytest.raises(EncoderError, match="has no output 'quantized'"):
        load_encoder("dasheng-tiny:quantized")


@pytest.mark.skipif(not HELD_OUT.is_file(), reason="no ../shared/data/librispeech here")
def test_speech_it_was_not_trained_on_comes_back() -> None:
    from pesq import pesq
    from pystoi import stoi

    (codec,) = load_encoders(["dasheng-tiny"])
    found = []
    for clip in open_material(HELD_OUT).limited(4).clips:
        samples, _ = AudioPipeline(16_000).load(clip.read())
        with torch.inference_mode():
            frames = codec.encode(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
            decoded = codec.decode(frames)[0][0].numpy()  # type: ignore[attr-defined]
        both = samples[: len(decoded)], decoded[: len(samples)]
        found.append((pesq(16_000, *both, "wb"), stoi(*both, 16_000)))
    (measured_pesq, measured_stoi) = np.mean(found, axis=0)
    assert measured_pesq > PESQ_LEAST and measured_stoi > STOI_LEAST


# a little below what the card says
PESQ_LEAST, STOI_LEAST = 1.8, 0.85
