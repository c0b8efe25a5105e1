"""Training on any frozen encoder: its frames computed once, what is written, and who is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from injected_files import Spectra
from training_files import INJECTION, as_yaml, corpus

import earmark
from earmark.benchmark.training import frozen as frozen_module
from earmark.benchmark.training.frozen import FrozenEncoder
from earmark.encoders import EncoderError, load_encoder
from earmark.encoders.dasheng.training import TrainingError, read_training
from earmark.encoders.dasheng.training import train as train_stage
from earmark.encoders.dasheng.training.config import LossesConfig, MelLossConfig
from earmark.encoders.injection.stage import measured_on
from earmark.encoders.registry import load_encoders

CONFIG = replace(
    INJECTION,
    losses=LossesConfig(
        mel=MelLossConfig(windows=(64, 256), bands=(8, 20)), adversarial=0, feature_matching=0
    ),
)
ENCODER_FILE = """
import torch
from earmark import AudioEncoder, Frames


class Blocks(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "blocks", 16_000, 5, 100.0
    honours_lengths = True

    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor([1.0, 2.0, 30.0, 4.0, 0.0]) * SCALE)

    def encode(self, waveforms, lengths):
        counts = (lengths // 160).clamp(min=1)
        short = max(0, int(counts.max()) * 160 - waveforms.shape[1])
        audio = torch.nn.functional.pad(waveforms, (0, short))[:, : int(counts.max()) * 160]
        blocks = audio.view(len(audio), -1, 5, 32).abs().mean(3) + 0.5
        return Frames(blocks * self.weights, counts)
"""


@pytest.fixture
def places(tmp_path):
    """A folder of audio, an encoder's file, a config."""
    audio = tmp_path / "audio"
    audio.mkdir()
    for number, seconds in enumerate((1.5, 0.05, 2.0)):
        rng = np.random.default_rng(number)
        samples = 0.1 * rng.standard_normal(round(16_000 * seconds))
        soundfile.write(audio / f"{number}.wav", samples, 16_000)
    file = tmp_path / "blocks.py"
    file.write_text(ENCODER_FILE.replace("SCALE", "1.0"))
    return audio, file, as_yaml(tmp_path / "injection.yaml", CONFIG)


def trained(places, out, **others):
    audio, file, config = places
    return earmark.train(
        config, audio, out, semantic=f"{file}:Blocks", cache=out.parent / "cache", **others
    )


def test_an_injected_encoder_is_loaded_by_its_folder(places, tmp_path):
    found = trained(places, tmp_path / "out")
    assert found.steps == CONFIG.steps
    assert set(json.loads((tmp_path / "out" / "injected.json").read_text())) == {
        "format", "semantic", "weights", "latent", "geometry"
    }  # fmt: skip
    names = [f"injected:{tmp_path / 'out'}{one}" for one in ("", ":semantic", ":acoustic")]
    unified, semantic, acoustic = load_encoders(names)
    assert [one.name for one in (unified, semantic, acoustic)] == [
        "injected:out", "injected:out:semantic", "injected:out:acoustic"
    ]  # fmt: skip
    assert unified.shared is semantic.shared is acoustic.shared
    clip, lengths = 0.1 * torch.randn(2, 8000), torch.tensor([8000, 4800])
    frames = {one.output: one.encode(clip, lengths) for one in (unified, semantic, acoustic)}
    own = load_encoder(f"{places[1]}:Blocks").encode(clip, lengths)
    parts = unified.shared.parts
    expected = (own.values - parts.mean) / parts.deviation
    torch.testing.assert_close(frames["semantic"].values, expected)
    torch.testing.assert_close(frames[""].values, expected + frames["acoustic"].values)
    assert frames[""].lengths.tolist() == [50, 30]
    sound, samples = unified.decode(frames[""])
    assert samples.tolist() == [8000, 4800]
    assert sound.shape == (2, 8000)
    assert sound.abs().max() > 0


def test_scales_are_those_of_the_calibration_crops(places, tmp_path):
    """By numpy; a dimension that never changes is not blown up."""
    config = replace(CONFIG, precision="fp32")
    audio = corpus(1.5, 0.05, 2.0)
    frozen = FrozenEncoder(
        load_encoder(f"{places[1]}:Blocks"), "blocks", config, cache=tmp_path / "cache"
    )
    done = train_stage(config, audio, tmp_path / "out", semantic=frozen)
    drawn = measured_on(frozen.sampler(audio, config, {}), config.steps)
    rows = np.concatenate([one.frames.double().numpy().reshape(-1, 5) for one in drawn])
    parts = frozen_parts(done.checkpoint)
    np.testing.assert_allclose(parts["mean"], rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(parts["deviation"][:4], rows.std(0)[:4], rtol=1e-5)
    assert parts["deviation"][4] == 1


def frozen_parts(folder):
    from safetensors.torch import load_file

    return {name: one.numpy() for name, one in load_file(folder / "model.safetensors").items()}


def test_frames_are_kept_or_computed_for_every_crop(tmp_path, monkeypatch):
    """By the room on the disk; the same frames."""
    audio, rows = corpus(1.5, 0.05, 2.0), {}
    encoder = Spectra()
    calls = []
    monkeypatch.setattr(
        Spectra, "encode",
        lambda self, w, n, encode=Spectra.encode: calls.append(len(w)) or encode(self, w, n),
    )  # fmt: skip
    for name, share in (("kept", 0.5), ("computed", 0.0)):
        monkeypatch.setattr(frozen_module, "_SHARE_OF_DISK", share)
        said = []
        frozen = FrozenEncoder(
            encoder, "spectra", CONFIG, cache=tmp_path / "cache", tell=said.append
        )
        calls.clear()
        done = train_stage(CONFIG, audio, tmp_path / name, semantic=frozen)
        assert len(done.history.steps) == CONFIG.steps
        # the three clips in one batch, and the fixed signal of what is written
        assert sum(calls) == 4 if name == "kept" else sum(calls) > 4
        assert bool(said) == (name == "computed")
        _, source = frozen._frames(audio)
        rows[name] = np.concatenate([source.rows(p, f, 10) for p, f in ((2, 31), (0, 7), (1, 0))])
    np.testing.assert_allclose(rows["kept"], rows["computed"], rtol=1e-3, atol=1e-2)


def test_a_killed_training_resumes_to_the_same_bits(places, tmp_path):
    whole = trained(places, tmp_path / "whole")

    def stop(step, losses):
        if step == 3:
            raise KeyboardInterrupt

    audio, file, config_file = places
    config = read_training(config_file)
    read = earmark.benchmark.training.corpus.make_corpus([audio], cache=tmp_path / "cache")
    frozen = FrozenEncoder(
        load_encoder(f"{file}:Blocks"), f"{file}:Blocks", config, cache=tmp_path / "cache"
    )
    with pytest.raises(KeyboardInterrupt):
        train_stage(config, read, tmp_path / "cut", semantic=frozen, on_step=stop)
    resumed = trained(places, tmp_path / "cut")
    assert resumed.steps == 2
    first, second = (frozen_parts(one.checkpoint) for one in (whole, resumed))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_another_checkpoint_is_refused(places, tmp_path):
    trained(places, tmp_path / "out")
    name = f"injected:{tmp_path / 'out'}"
    places[1].write_text(ENCODER_FILE.replace("SCALE", "1.01"))
    with pytest.raises(EncoderError, match=r"trained on another '.*Blocks' .*: other weights;"):
        load_encoder(name)
    # the same weights, and other code: its output tells
    places[1].write_text(ENCODER_FILE.replace("SCALE", "1.0").replace("+ 0.5", "+ 0.6"))
    with pytest.raises(EncoderError, match="another output on the fixed signal"):
        load_encoder(name)
    places[1].write_text(ENCODER_FILE.replace("SCALE", "1.0") + "\n# a comment\n")
    assert load_encoder(name).embedding_dim == 5


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("injected.json", lambda path: path.unlink(), "there is no injected.json"),
        ("injected.json", lambda path: path.write_text("[]"), "of format 1; train it again"),
        ("injected.json", lambda path: path.write_text('{"format": 1}'), "cannot be read"),
        ("model.safetensors", lambda path: path.write_bytes(b"x"), "cannot be read"),
        ("model.safetensors", lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_damaged_folder_is_one_line(places, tmp_path, file, damage, said):
    trained(places, tmp_path / "out")
    damage(tmp_path / "out" / file)
    with pytest.raises(EncoderError, match=said) as caught:
        load_encoder(f"injected:{tmp_path / 'out'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("semantic", "said"),
    [
        ("lgmel", "no such encoder: unknown encoder 'lgmel'; did you mean 'logmel'"),
        ("out/nothing", "no semantic encoder at out/nothing"),
        ("injected:", "nothing follows the colon"),
    ],
)
def test_what_is_no_encoder_is_refused(places, tmp_path, semantic, said):
    audio, _, config = places
    with pytest.raises(EncoderError, match=said):
        earmark.train(config, audio, tmp_path / "out", semantic=semantic)


def test_crops_longer_than_the_encoder_hears_are_refused():
    encoder = Spectra()
    encoder.fixed_seconds = 0.1
    with pytest.raises(TrainingError, match=r"hears 0.1 s at most; crop_seconds is 0.16"):
        FrozenEncoder(encoder, "spectra", CONFIG)


def test_encoders_of_bounded_lengths_are_given_pieces(tmp_path):
    """Windows of a fixed length; short clips padded; and the same frames by hand."""
    encoder = Spectra()
    encoder.fixed_seconds = 0.5
    audio = corpus(1.2, 0.05)
    frozen = FrozenEncoder(encoder, "spectra", CONFIG, cache=tmp_path)
    pieces, source = frozen._frames(audio)
    assert (pieces.ends - pieces.begins).tolist() == [8000, 8000, 3200, 800]
    assert pieces.clips.tolist() == [0, 0, 0, 1]
    second = torch.from_numpy(audio.samples[8000:16_000].astype(np.float32) / 32_768)[None]
    expected = encoder.encode(second, torch.tensor([8000])).values[0, 3:13]
    np.testing.assert_allclose(source.rows(1, 3, 10), expected, rtol=1e-3, atol=1e-2)


def test_other_sample_rates(places, tmp_path, monkeypatch):
    """Audio comes at the encoder's own rate, and is decoded at it."""
    audio, _, config = places
    from earmark.encoders import catalogue

    monkeypatch.setitem(
        catalogue.REGISTERED, "fast", lambda: Spectra(sample_rate=24_000, frame_rate=32.0)
    )
    earmark.train(config, audio, tmp_path / "out", semantic="fast", cache=tmp_path / "cache")
    codec = load_encoder(f"injected:{tmp_path / 'out'}")
    assert codec.sample_rate == 24_000
    frames = codec.encode(0.1 * torch.randn(1, 12_000), torch.tensor([12_000]))
    assert frames.values.shape == (1, 16, 9)
    assert codec.decode(frames)[0].shape == (1, 12_000)
