"""AST and w2v-BERT against transformers' own feature extraction and models, clip by clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from conforming import breaches

from earmark.encoders import AudioEncoder, EncoderError, load_encoder, load_encoders

RATE = 16_000
AST: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
}  # fmt: skip
BERT: dict[str, Any] = AST | {"conv_depthwise_kernel_size": 5, "feat_proj_dropout": 0.1}


def save(name: str, folder: Path, **other: Any) -> Any:
    """A small model as it is published; its weights are larger than at the start of training."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        if name == "ast":
            config = transformers.ASTConfig(**AST | other)
            model: Any = transformers.ASTForAudioClassification(config)
            extractor: Any = transformers.ASTFeatureExtractor()
        else:
            model = transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig(**BERT | other))
            extractor = transformers.SeamlessM4TFeatureExtractor()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape)
    model.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return model.audio_spectrogram_transformer if name == "ast" else model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    made = {}
    for name in ("ast", "w2v-bert"):
        folder = tmp_path_factory.mktemp("models") / name
        made[name] = (folder, save(name, folder))
    return made


def clips(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [0.1 * torch.randn(n, generator=generator) + 0.05 for n in lengths]


def encode(encoder: AudioEncoder, *audio: torch.Tensor) -> list[torch.Tensor]:
    """Each clip's own frames, of one batch; what lies beyond a clip in it is NaN."""
    lengths = torch.tensor([len(clip) for clip in audio])
    batch = torch.full((len(audio), int(lengths.max()) + 700), float("nan"))
    for row, clip in zip(batch, audio, strict=True):
        row[: len(clip)] = clip
    with torch.inference_mode():
        frames = encoder.encode(batch, lengths)
    return [values[:n] for values, n in zip(frames.values, frames.lengths.tolist(), strict=True)]


def own_way(name: str, folder: Path, model: Any, clip: torch.Tensor) -> list[torch.Tensor]:
    """Output, then hidden states, of one clip by transformers itself: tokens (N, D)."""
    kind = "ASTFeatureExtractor" if name == "ast" else "SeamlessM4TFeatureExtractor"
    extractor = getattr(transformers, kind).from_pretrained(folder)
    inputs = extractor(clip.numpy(), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        found = model(**inputs, output_hidden_states=True)
    states = [found.last_hidden_state[0], *(state[0] for state in found.hidden_states)]
    if name == "w2v-bert":  # an odd frame at the end stands beside one that is padding
        states = [state[inputs["attention_mask"][0].bool()] for state in states]
    return states


def grid(tokens: torch.Tensor, columns: int) -> torch.Tensor:
    """AST's tokens (2 + 12 x 101, D), band after band -> (columns, 12, D)."""
    return torch.stack([tokens[2 + 101 * band :][:columns] for band in range(12)], dim=1)


NAMES = ("", "layer-0", "layer-1", "layer-2")


def test_ast_is_the_models_own_in_any_batch(saved: dict[str, tuple[Path, Any]]) -> None:
    folder, model = saved["ast"]
    encoders = load_encoders(["ast", "ast:layer-all", "ast:grid"], weights=folder)
    assert [one.name.partition(":")[2] for one in encoders] == [*NAMES, "grid"]
    audio = clips(400, 16_000, 1601, 161_600)
    for row, clip in enumerate(audio):
        states = own_way("ast", folder, model, clip)
        grids = [grid(state, -(-len(clip) // 1600)) for state in states]
        wanted = [one.mean(1) for one in grids] + [grids[0].flatten(1)]
        for encoder, expected in zip(encoders, wanted, strict=True):
            for found in (encode(encoder, *audio)[row], encode(encoder, clip)[0]):
                torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_w2v_bert_is_the_models_own_in_any_batch(saved: dict[str, tuple[Path, Any]]) -> None:
    folder, model = saved["w2v-bert"]
    encoders = load_encoders(["w2v-bert", "w2v-bert:layer-all"], weights=folder)
    assert [one.name.partition(":")[2] for one in encoders] == list(NAMES)
    audio = clips(560, 16_000, 16_160, 30_123)  # 2, 98, 99 and 186 spectrogram frames
    for row, clip in enumerate(audio):
        wanted = own_way("w2v-bert", folder, model, clip)
        for encoder, expected in zip(encoders, wanted, strict=True):
            for found in (encode(encoder, *audio)[row], encode(encoder, clip)[0]):
                torch.testing.assert_close(found, expected, atol=5e-4, rtol=0)


@pytest.mark.parametrize(("name", "rate", "outputs"), [
    ("ast", 10.0, {"": 16, "grid": 192, "layer-1": 16}),
    ("w2v-bert", 50.0, {"": 16, "layer-1": 16}),
])  # fmt: skip
def test_they_keep_their_contract(
    name: str, rate: float, outputs: dict[str, int], saved: dict[str, tuple[Path, Any]]
) -> None:
    prints = set()
    for output, dimension in outputs.items():
        encoder = load_encoder(f"{name}:{output}".rstrip(":"), weights=saved[name][0])
        assert (encoder.sample_rate, encoder.frame_rate) == (RATE, rate)
        assert encoder.embedding_dim == dimension
        prints.add(encoder.fingerprint())
        assert breaches(encoder) == []
        assert encoder.fingerprint() in prints
    assert len(prints) == len(outputs)


def test_longer_audio_goes_in_pieces_on_the_grid_of_its_frames(
    saved: dict[str, tuple[Path, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip,) = clips(161_600 + 20_000)
    ast = load_encoder("ast", weights=saved["ast"][0])
    (found,) = encode(ast, clip)
    assert len(found) == 101 + 13
    torch.testing.assert_close(found[:101], encode(ast, clip[:164_080])[0][:101], atol=2e-5, rtol=0)
    torch.testing.assert_close(found[101:], encode(ast, clip[161_600:])[0], atol=2e-5, rtol=0)
    monkeypatch.setattr("earmark.encoders.baselines.w2v_bert.PIECE_SECONDS", 4)
    bert: Any = load_encoder("w2v-bert", weights=saved["w2v-bert"][0])
    (short,) = clips(6 * RATE)
    features = bert.shared._features(short)
    assert features.shape == (299, 160)
    columns = features.reshape(-1, 80)  # all but the one that is left over
    torch.testing.assert_close(columns.mean(0), torch.zeros(80), atol=2e-2, rtol=0)
    with torch.inference_mode():
        parts = [
            bert.shared.model(input_features=part[None]).last_hidden_state[0]
            for part in features.split(200)
        ]
    torch.testing.assert_close(encode(bert, short)[0], torch.cat(parts), atol=2e-5, rtol=0)


@pytest.mark.parametrize(("name", "other", "said"), [
    ("ast", {"max_length": 512}, "1024 frames for 512 places"),
    ("w2v-bert", {"add_adapter": True}, "adapter"),
    ("w2v-bert", {"feature_projection_input_dim": 80}, "not the 80 values"),
])  # fmt: skip
def test_models_of_another_kind_are_refused(
    name: str, other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    save(name, tmp_path, **other)
    with pytest.raises(EncoderError) as caught:
        load_encoder(name, weights=tmp_path)
    assert said in str(caught.value)
    assert "fetch it again" not in str(caught.value)
