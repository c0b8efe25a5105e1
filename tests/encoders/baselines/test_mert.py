"""MERT's checkpoints in transformers' HubertModel: tensors in place, other networks refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_models import LAYER_NORM, TRANSFORMER

from earmark.benchmark.conformance.run import validate
from earmark.encoders import EncoderError, load_encoder, load_encoders

# What MERT's configuration has besides HuBERT's.
OWN = {
    "model_type": "mert_model", "sample_rate": 24_000, "feature_extractor_cqt": False,
    "feature_extractor_cqt_bins": 84, "deepnorm": False, "attention_relax": 32.0,
    "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
}  # fmt: skip


def save(folder: Path, sizes: dict[str, Any], **own: Any) -> Any:
    """A small MERT as it is published, in torch's former names of weight norm."""
    torch.manual_seed(0)
    model = transformers.HubertModel(transformers.HubertConfig(**sizes)).eval()
    facts = {k: v for k, v in model.config.to_dict().items() if k != "model_type"}
    (folder / "config.json").write_text(json.dumps(facts | OWN | own))
    state = {
        key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for key, value in model.state_dict().items()
    }
    assert any(key.endswith("conv.weight_g") for key in state)
    torch.save(state, folder / "pytorch_model.bin")
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True)
    extractor.save_pretrained(folder)
    return model


@pytest.fixture(params=[TRANSFORMER, TRANSFORMER | LAYER_NORM], ids=["95m", "330m"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return save(tmp_path, request.param)


def test_output_and_layers_are_huberts(model: Any, tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-0.3, 0.3, 24_000).astype(np.float32)
    scaled = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    with torch.no_grad():
        wanted = model(torch.from_numpy(scaled)[None], output_hidden_states=True)
    encoders = load_encoders(["mert-95m", "mert-95m:layer-all"], weights=tmp_path)
    for encoder, expected in zip(
        encoders, [wanted.last_hidden_state, *wanted.hidden_states], strict=True
    ):
        found = encoder.encode(torch.from_numpy(audio)[None], torch.tensor([24_000]))
        torch.testing.assert_close(found.values, expected, atol=1e-5, rtol=1e-5)
        assert encoder.sample_rate == 24_000 and encoder.frame_rate == 75.0
        assert found.values.shape == (1, 74, 32)


def test_it_does_what_it_claims(model: Any, tmp_path: Path) -> None:
    del model
    encoder = load_encoder("mert-330m", weights=tmp_path)
    assert encoder.name.startswith("mert-330m@config-")
    checks = validate(encoder, device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt True"),
        ({"deepnorm": True}, "deepnorm True"),
        ({"feat_proj_layer_norm": False}, "feat_proj_layer_norm False"),
        ({"sample_rate": 16_000}, "16000 Hz"),
        ({"model_type": "hubert"}, "'hubert', not 'mert_model'"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, own: dict[str, Any], said: str) -> None:
    save(tmp_path, TRANSFORMER, **own)
    with pytest.raises(EncoderError, match=said) as caught:
        load_encoder("mert-95m", weights=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_that_lacks_tensors_is_refused(tmp_path: Path) -> None:
    save(tmp_path, TRANSFORMER)
    state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    del state["encoder.pos_conv_embed.conv.weight_g"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"missing encoder.pos_conv_embed.conv.*original0"):
        load_encoder("mert-95m", weights=tmp_path)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(EncoderError, match=r"there is no pytorch_model.bin in it"):
        load_encoder("mert-95m", weights=tmp_path)
