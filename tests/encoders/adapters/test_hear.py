"""`hear:MODULE`: a stand-in of HEAR's interface, and HEAR's own baselines where installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conforming import breaches
from hear_files import HEAR

from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    Frames,
    encode_each,
    is_built_in,
    load_encoder,
    scene_at_home,
)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "their_hear.py").write_text(HEAR.format(hop=40))
    return tmp_path / "their_hear.py"


def noise(count: int, samples: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(count, samples, generator=generator)


def encode(encoder: AudioEncoder, audio: torch.Tensor) -> Frames:
    with torch.inference_mode():
        return encode_each([encoder], audio, torch.full((len(audio),), audio.shape[1]))[0]


def embedding(encoder: AudioEncoder, clip: torch.Tensor, at_ms: float) -> np.ndarray[Any, Any]:
    """The stand-in's embedding at a time, by numpy."""
    centre = round(at_ms * 8)
    padded = np.pad(clip.numpy().astype(np.float64), (100, 100))[centre : centre + 200]
    stats = np.array([padded.mean(), np.sqrt(padded.var() + 1e-8)])
    layer: Any = encoder.get_submodule("model.layer")
    weight, bias = (one.detach().numpy().astype(np.float64) for one in (layer.weight, layer.bias))
    return np.asarray(weight @ stats + bias)


def test_frames_are_the_embeddings_of_the_nearest_timestamps(module: Path) -> None:
    encoder = load_encoder(f"hear:{module}")
    assert encoder.name == "hear:their_hear"
    assert (encoder.sample_rate, encoder.frame_rate) == (8000, 25)
    assert (encoder.embedding_dim, encoder.scene_dim) == (4, 6)
    clips = noise(2, 8320)  # 1.04 s: timestamps 0, 40, ..., 1040 ms for 26 frames of 40 ms
    frames = encode(encoder, clips)
    assert frames.lengths.tolist() == [26, 26]
    for row, clip in enumerate(clips):
        # a frame's centre lies between two timestamps: the earlier
        wanted = np.stack([embedding(encoder, clip, 40 * number) for number in range(26)])
        np.testing.assert_allclose(frames.values[row].numpy(), wanted, atol=1e-6)


def test_timestamps_that_start_late_are_put_where_they_are(tmp_path: Path) -> None:
    late = HEAR.format(hop=40) + (
        "\n\ndef get_timestamp_embeddings(audio, model):\n"
        "    values, times = frames(audio, model, HOP)\n"
        "    return values[:, 5:-3], times[5:-3].expand(len(audio), -1)\n"
    )
    (tmp_path / "late.py").write_text(late)
    encoder = load_encoder(f"hear:{tmp_path / 'late.py'}")
    (clip,) = noise(1, 8000)  # 26 timestamps, of which 200, 240, ..., 880 ms are given
    found = encode(encoder, clip[None]).values[0].numpy()
    times = np.clip(np.arange(25) * 40, 200, 880)
    wanted = np.stack([embedding(encoder, clip, at) for at in times])
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_scenes_are_the_modules_own(module: Path) -> None:
    encoder = load_encoder(f"hear:{module}")
    clips = noise(3, 4000)
    spec = importlib.util.spec_from_file_location("hear_reference", module)
    assert spec is not None and spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    model = reference.load_model()
    model.load_state_dict(encoder.get_submodule("model").state_dict())
    with torch.inference_mode():
        found = scene_at_home(encoder, clips, torch.full((3,), 4000))
        wanted = reference.get_scene_embeddings(clips, model)
    torch.testing.assert_close(found, wanted)


def test_it_conforms_with_controls_and_weights(module: Path, tmp_path: Path) -> None:
    plain = load_encoder(f"hear:{module}")
    assert breaches(plain) == []
    state = {key: 2 * value for key, value in plain.get_submodule("model").state_dict().items()}
    torch.save(state, weights := tmp_path / "w.pt")
    other = load_encoder(f"hear:{module}", weights=weights)
    control = load_encoder(f"hear:{module}:permuted", weights=weights)
    assert control.name == "hear:their_hear:permuted"
    prints = {one.fingerprint() for one in (plain, other, control)}
    assert len(prints) == 3
    assert load_encoder(f"hear:{module}").fingerprint() in prints
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert load_encoder(f"hear:{module}").fingerprint() not in prints


def test_one_timestamp_alone_makes_one_vector_a_clip(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(HEAR.format(hop=100_000))
    encoder = load_encoder(f"hear:{tmp_path / 'one.py'}")
    assert (encoder.frame_rate, encoder.embedding_dim, encoder.scene_dim) == (None, 6, None)
    clips = noise(2, 4000)
    frames = encode(encoder, clips)
    torch.testing.assert_close(frames.values[:, 0, 4], clips.abs().amax(1))
    assert breaches(encoder) == []


def test_a_model_of_longer_clips_says_so(tmp_path: Path) -> None:
    text = HEAR.format(hop=40).replace(
        "    padded =", "    assert audio.shape[1] >= 2000\n    padded ="
    )
    (tmp_path / "long.py").write_text(text)
    encoder = load_encoder(f"hear:{tmp_path / 'long.py'}")
    assert encoder.min_seconds == 0.25
    assert breaches(encoder) == []


FAULTS = {
    "return values, times.expand(len(audio), -1)": {
        "return values": r"get_timestamp_embeddings\(\) returned Tensor \(1, 2, 4\) and NoneType",
        "return values, times": r"Tensor \(1, 2, 4\) and Tensor \(2,\)",
        "return values, -times.expand(len(audio), -1)": r"its timestamps do not ascend",
        "return values, times.expand(len(audio), -1) / 1000": r"they are in milliseconds",
    },
    "sample_rate = 8000": {"sample_rate = 8000.5": r"sample_rate must be a whole number above 0"},
    "scene_embedding_size = 6": {"other = 6": r"scene_embedding_size must be a whole number"},
    "return model\n": {"return 3\n": r"load_model\(\) returned int; only models of torch"},
    "def load_model": {"def load": r"has no load_model, which HEAR's interface asks for"},
    "return torch.cat([mean": {
        "return None, 1\n    torch.cat([mean": r"get_scene_embeddings\(\) returned tuple"
    },
}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [(old, new, said) for old, all_of in FAULTS.items() for new, said in all_of.items()],
)
def test_what_breaks_the_interface_is_said_in_a_line(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = HEAR.format(hop=40)
    assert old in text
    (tmp_path / "bad.py").write_text(text.replace(old, new))
    with pytest.raises(EncoderError, match=said) as error:
        load_encoder(f"hear:{tmp_path / 'bad.py'}")
    assert "bad" in str(error.value) and "\n" not in str(error.value)


def test_modules_and_weights_that_are_not_there(module: Path, tmp_path: Path) -> None:
    for asked, said in (
        ("hear:no_such_package.naive", r"there is no module no_such_package\.naive; install"),
        ("hear:json", r"has no load_model, .*did you mean a module of it: decoder"),
        ("hear:", r"write it as 'hear:hearbaseline\.naive'"),
        (f"hear:{tmp_path / 'none.py'}", r"none\.py does not exist"),
        ("hear:json.tool:layer-1", r"no output 'layer-1'; ask for 'hear:json\.tool' alone"),
        ("haer:json.tool", r"did you mean 'hear:json\.tool'\?"),
    ):
        with pytest.raises(EncoderError, match=said):
            load_encoder(asked)
    with pytest.raises(EncoderError, match=r"weights .*w\.pt do not exist"):
        load_encoder(f"hear:{module}", weights=tmp_path / "w.pt")


@pytest.fixture
def naive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`hearbaseline.naive`, which calls librosa as it was before 0.10."""
    pytest.importorskip("hearbaseline", reason="HEAR's baselines are not installed")
    filters = importlib.import_module("librosa.filters")
    mel = filters.mel
    monkeypatch.setattr(filters, "mel", lambda sr, **other: mel(sr=sr, **other))
    yield importlib.import_module("hearbaseline.naive")


def test_hears_own_naive_baseline(naive: Any) -> None:
    encoder = load_encoder("hear:hearbaseline.naive")
    assert encoder.name == "hear:hearbaseline.naive"
    assert (encoder.sample_rate, encoder.frame_rate, encoder.scene_dim) == (44_100, 20, 4096)
    clips = noise(1, 44_100)
    model = naive.load_model("")
    with torch.inference_mode():
        values, times = naive.get_timestamp_embeddings(clips, model)
        scenes = naive.get_scene_embeddings(clips, model)
        scene = scene_at_home(encoder, clips, torch.tensor([44_100]))
    assert times[0, :3].tolist() == [0, 50, 100]
    torch.testing.assert_close(encode(encoder, clips).values, values[:, :20])
    torch.testing.assert_close(scene, scenes)


def test_code_that_is_not_ours_is_not_built_in(module: Path) -> None:
    assert is_built_in(load_encoder("logmel"))
    assert not is_built_in(load_encoder(f"hear:{module}"))
