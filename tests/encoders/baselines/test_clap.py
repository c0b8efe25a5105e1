"""CLAP's two towers against transformers' own feature extraction, model and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from conforming import breaches

from earmark.encoders import AudioEncoder, EncoderError, load_encoder, load_encoders
from earmark.encoders.baselines.clap_text import load_clap_text

RATE = 48_000
AUDIO: dict[str, Any] = {
    "hidden_size": 64, "patch_embeds_hidden_size": 8, "depths": [1, 1, 2, 1],
    "num_attention_heads": [2, 2, 4, 4],
}  # fmt: skip
TEXT: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40,
}  # fmt: skip
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A small CLAP as it is published, and the model."""
    folder = tmp_path_factory.mktemp("clap")
    config = transformers.ClapConfig(audio_config=AUDIO, text_config=TEXT, projection_dim=20)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.ClapModel(config).eval()
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_mean"):
                tensor.data.fill_(-30.0)
            elif name.endswith("running_var"):
                tensor.data.fill_(200.0)
            elif tensor.is_floating_point():
                tensor.data += 0.1 * torch.randn(tensor.shape)
    model.save_pretrained(folder)
    extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
    extractor.save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    transformers.RobertaTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    return folder, model


def clips(*seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [0.1 * torch.randn(round(s * RATE), generator=generator) for s in seconds]


def encode(encoder: AudioEncoder, *audio: torch.Tensor) -> list[torch.Tensor]:
    lengths = torch.tensor([len(clip) for clip in audio])
    batch = torch.full((len(audio), int(lengths.max()) + 7), float("nan"))
    for row, clip in zip(batch, audio, strict=True):
        row[: len(clip)] = clip
    with torch.inference_mode():
        frames = encoder.encode(batch, lengths)
    return [values[:n] for values, n in zip(frames.values, frames.lengths.tolist(), strict=True)]


def own_way(saved: tuple[Path, Any], window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vector (20,) and feature map (64, 2, 32) of at most 10 s, by transformers."""
    folder, model = saved
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    inputs = extractor(window.numpy(), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        found = model.get_audio_features(input_features=inputs["input_features"].float())
    return found.pooler_output[0], found.last_hidden_state[0]


def test_a_window_is_as_the_model_itself_has_it(saved: tuple[Path, Any]) -> None:
    encoders = load_encoders(["clap", "clap:frames", "clap:grid"], weights=saved[0])
    assert [one.embedding_dim for one in encoders] == [20, 64, 128]
    assert [one.frame_rate for one in encoders] == [None, 3.2, 3.2]
    audio = clips(0.02, 3.3, 10.0)
    found = [encode(encoder, *audio) for encoder in encoders]
    for row, clip in enumerate(audio):
        vector, features = own_way(saved, clip)
        own = features[:, :, : -(-len(clip) // 15_000)]
        wanted = (vector[None], own.mean(1).T, own.permute(2, 1, 0).flatten(1))
        for values, expected in zip(found, wanted, strict=True):
            torch.testing.assert_close(values[row], expected, atol=2e-4, rtol=0)


def test_longer_clips_are_the_mean_of_their_windows_by_share(saved: tuple[Path, Any]) -> None:
    encoder, frames = load_encoders(["clap", "clap:frames"], weights=saved[0])
    (clip,) = clips(25.0)
    windows = clip.split(10 * RATE)
    vectors = [own_way(saved, window)[0] for window in windows]
    wanted = 0.4 * vectors[0] + 0.4 * vectors[1] + 0.2 * vectors[2]
    torch.testing.assert_close(encode(encoder, clip)[0][0], wanted, atol=2e-4, rtol=0)
    assert encode(frames, clip)[0].shape == (80, 64)


@pytest.mark.parametrize("output", ["", "frames", "grid"])
def test_it_keeps_its_contract(output: str, saved: tuple[Path, Any]) -> None:
    encoder = load_encoder(f"clap:{output}".rstrip(":"), weights=saved[0])
    before = encoder.fingerprint()
    assert breaches(encoder) == []
    assert encoder.fingerprint() == before


def test_captions_lie_in_the_same_space(saved: tuple[Path, Any]) -> None:
    folder, model = saved
    tower = load_clap_text(folder)
    texts = ["a dog barks", "rain", "a long rain falls onto a roof while a dog barks far away"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = tower.embed(texts)
    for row, text in zip(found, texts, strict=True):  # one by one: padding plays no part
        tokens = tokenizer([text], truncation=True, max_length=38, return_tensors="pt")
        with torch.inference_mode():
            expected = model.get_text_features(**tokens).pooler_output[0]
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=0)
    assert len(tokenizer(texts[2])["input_ids"]) > 38  # the longest was cut
    encoder = load_encoder("clap", weights=folder)
    (clip,) = clips(2.0)
    with torch.inference_mode():
        features = transformers.ClapFeatureExtractor.from_pretrained(folder)(
            clip.numpy(), sampling_rate=RATE, return_tensors="pt"
        )["input_features"].float()
        tokens = tokenizer(texts[:2], padding=True, return_tensors="pt")
        both = model(input_features=features, **tokens)
        scores = both.logits_per_audio[0] / model.logit_scale_a.exp()
    cosines = found[:2] @ encode(encoder, clip)[0][0]
    torch.testing.assert_close(cosines, scores, atol=1e-4, rtol=0)
    assert tower.embed([]).shape == (0, 20)


def changed(folder: Path, target: Path, file: str, **values: Any) -> Path:
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    settings = json.loads((target / file).read_text())
    for key, value in values.items():
        part, _, inner = key.partition("__")
        if inner:
            settings[part][inner] = value
        else:
            settings[key] = value
    (target / file).write_text(json.dumps(settings))
    return target


@pytest.mark.parametrize(("file", "values", "said"), [
    ("preprocessor_config.json", {"truncation": "fusion"}, "drawn at random"),
    ("config.json", {"audio_config__enable_fusion": True}, "drawn at random"),
    ("preprocessor_config.json", {"padding": "pad"}, "padding is 'pad'"),
])  # fmt: skip
def test_what_would_not_be_the_same_twice_is_refused(
    file: str, values: dict[str, Any], said: str, saved: tuple[Path, Any], tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match=said):
        load_encoder("clap", weights=changed(saved[0], tmp_path, file, **values))
