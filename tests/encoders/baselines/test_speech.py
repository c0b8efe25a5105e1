"""Whisper, wav2vec 2.0, HuBERT, WavLM and data2vec against the models called directly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import save

from earmark.encoders import AudioEncoder, EncoderError, load_encoder, load_encoders

SPEECH = ("wav2vec2", "hubert-large", "wavlm-large", "data2vec", "wav2vec2-group")
ALL = ("whisper-base", *SPEECH)
RATE = 16_000


class Saved:
    """A small model on disk, and the same model at hand to be called directly."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name.removesuffix("-group")
        self.folder = folder / name
        self.model = save(name, self.folder)

    def load(self, *outputs: str, layer: Any = None) -> list[AudioEncoder]:
        names = [f"{self.name}:{output}" for output in outputs] or [self.name]
        return load_encoders(names, weights=self.folder, layer=layer)

    def reference(self, clip: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Output (F, D) and hidden states of one clip of at most 30 s, by the model itself."""
        whisper = self.name == "whisper-base"
        kind = "WhisperFeatureExtractor" if whisper else "Wav2Vec2FeatureExtractor"
        extractor = getattr(transformers, kind).from_pretrained(self.folder)
        inputs = extractor(clip.numpy(), sampling_rate=RATE, return_tensors="pt")
        model = self.model.encoder if whisper else self.model
        with torch.inference_mode():
            found = model(next(iter(inputs.values())), output_hidden_states=True)
        end = -(-len(clip) // 320) if whisper else None
        hidden = tuple(state[0, :end] for state in found.hidden_states)
        return found.last_hidden_state[0, :end], hidden


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    made: dict[str, Saved] = {}

    def get(name: str) -> Saved:
        if name not in made:
            made[name] = Saved(name, tmp_path_factory.mktemp("models"))
        return made[name]

    return get


def clips(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [0.1 * torch.randn(n, generator=generator) + 0.05 for n in lengths]


def encode(encoder: AudioEncoder, *audio: torch.Tensor) -> list[torch.Tensor]:
    """Each clip's own frames, of one batch; what lies beyond a clip in it is zero."""
    lengths = torch.tensor([len(clip) for clip in audio])
    batch = torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True)
    with torch.inference_mode():
        frames = encoder.encode(batch, lengths)
    return [values[:n] for values, n in zip(frames.values, frames.lengths.tolist(), strict=True)]


@pytest.mark.parametrize("name", ALL)
def test_output_is_the_models_own_alone_and_in_any_batch(
    name: str, saved: Callable[[str], Saved]
) -> None:
    (encoder,) = saved(name).load()
    audio = clips(400, 16_000, 800, 27_123)
    expected = [saved(name).reference(clip)[0] for clip in audio]
    for batch in ([0], [3], [3, 1, 2, 0], [1, 2]):
        found = encode(encoder, *[audio[i] for i in batch])
        for i, values in zip(batch, found, strict=True):
            assert values.shape == expected[i].shape
            torch.testing.assert_close(values, expected[i], atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "honours"),
    [(name, name not in ("data2vec", "wav2vec2-group")) for name in ALL],
)
def test_lengths_are_honoured_where_the_model_was_trained_with_masks(
    name: str, honours: bool, saved: Callable[[str], Saved]
) -> None:
    (encoder,) = saved(name).load()
    assert encoder.honours_lengths is honours


@pytest.mark.parametrize("name", ["data2vec", "wav2vec2-group"])
def test_padding_would_leak_where_lengths_are_not_honoured(
    name: str, saved: Callable[[str], Saved]
) -> None:
    model, (clip,) = saved(name).model, clips(8000)
    padded = torch.nn.functional.pad(clip, (0, 8000))[None]
    mask = (torch.arange(16_000) < 8000).long()[None]
    with torch.inference_mode():
        alone = model(clip[None]).last_hidden_state[0]
        masked = model(padded, attention_mask=mask).last_hidden_state[0, : len(alone)]
    assert (alone - masked).abs().max() > 1e-3


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seconds", [0.0001, 0.03, 0.05, 3.37, 40.0])
def test_frames_are_as_many_as_claimed(
    name: str, seconds: float, saved: Callable[[str], Saved]
) -> None:
    (encoder,) = saved(name).load()
    assert (encoder.sample_rate, encoder.frame_rate, encoder.embedding_dim) == (RATE, 50.0, 32)
    (clip,) = clips(max(1, round(seconds * RATE)))
    (found,) = encode(encoder, clip)
    assert found.shape[1] == encoder.embedding_dim
    assert abs(len(found) - seconds * encoder.frame_rate) <= 1
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", ["wavlm-large", "wav2vec2-group"])
def test_long_clip_is_cut_on_the_grid_of_its_frames(
    name: str, saved: Callable[[str], Saved], monkeypatch: pytest.MonkeyPatch
) -> None:
    (encoder,) = saved(name).load()
    monkeypatch.setattr("earmark.encoders.baselines.speech.PIECE_SECONDS", 4)
    clip, short = clips(6 * RATE, RATE)
    scaled = (clip - clip.mean()) / (clip.var(correction=0) + 1e-7).sqrt()
    pieces = [scaled[: 199 * 320 + 400], scaled[200 * 320 :]]
    with torch.inference_mode():
        parts = [saved(name).model(piece[None]).last_hidden_state[0] for piece in pieces]
    for found in (encode(encoder, clip)[0], encode(encoder, short, clip)[1]):
        torch.testing.assert_close(found, torch.cat(parts), atol=2e-5, rtol=0)


def test_long_clip_of_whisper_is_cut_into_pieces_of_30_seconds(
    saved: Callable[[str], Saved],
) -> None:
    (encoder,) = saved("whisper-base").load()
    clip, short = clips(30 * RATE + 1000, RATE)
    parts = [saved("whisper-base").reference(part)[0] for part in clip.split(30 * RATE)]
    assert [len(part) for part in parts] == [1500, 4]
    for found in (encode(encoder, clip)[0], encode(encoder, short, clip)[1]):
        torch.testing.assert_close(found, torch.cat(parts), atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_layers_are_the_models_hidden_states(name: str, saved: Callable[[str], Saved]) -> None:
    short = name.removesuffix("-group")
    layers = saved(name).load(layer="all")
    family = layers[0].name.partition(":")[0]
    assert family.startswith(f"{short}@config-")  # small models are not the published ones
    assert [layer.name for layer in layers] == [f"{family}:layer-{n}" for n in range(4)]
    (clip,) = clips(9000)
    for layer, state in zip(layers, saved(name).reference(clip)[1], strict=True):
        torch.testing.assert_close(encode(layer, clip)[0], state, atol=2e-5, rtol=0)
    (third,) = saved(name).load(layer=3)
    assert third.name == f"{family}:layer-3"
    assert third.fingerprint() == layers[3].fingerprint()
    assert len({layer.fingerprint() for layer in layers}) == 4


@pytest.mark.parametrize("name", ["whisper-base", "hubert-large"])
def test_outputs_share_weights_and_one_pass(name: str, saved: Callable[[str], Saved]) -> None:
    output, second = load_encoders([name, f"{name}:layer-2"], weights=saved(name).folder)
    shared: Any = output.shared
    assert shared is second.shared
    passes: list[int] = []
    shared.model.register_forward_hook(lambda *_: passes.append(1))
    (clip,) = clips(9000)
    found = shared.encode_outputs(clip[None], torch.tensor([9000]), ("", "layer-2"))
    assert len(passes) == 1
    for encoder in (output, second):
        torch.testing.assert_close(found[encoder.output].values[0], encode(encoder, clip)[0])


def test_layer_that_is_not_there(saved: Callable[[str], Saved]) -> None:
    with pytest.raises(EncoderError, match="'hubert-large' has layers 0 to 3, no 4"):
        saved("hubert-large").load(layer=4)


@pytest.mark.parametrize("name", ALL)
def test_fingerprint_is_of_the_weights_not_of_their_place_or_use(
    name: str, saved: Callable[[str], Saved], tmp_path: Path
) -> None:
    (one,) = saved(name).load("layer-1")
    before = one.fingerprint()
    encode(one, *clips(9000))
    assert one.fingerprint() == before
    Saved(name, tmp_path / "elsewhere")
    short = name.removesuffix("-group")
    elsewhere = tmp_path / "elsewhere" / name
    assert load_encoder(f"{short}:layer-1", weights=elsewhere).fingerprint() == before
    assert load_encoder(short, weights=elsewhere).fingerprint() != before
