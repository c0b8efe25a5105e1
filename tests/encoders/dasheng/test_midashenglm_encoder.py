"""MiDashengLM's audio encoder and its layers against the definition in float64."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import dasheng_reference as reference
import numpy as np
import pytest
import safetensors.torch
import torch
from conforming import breaches
from dasheng_reference import SMALL_SEMANTIC, noise

from earmark.encoders import EncoderError, load_encoder, load_encoders, tensors
from earmark.encoders.dasheng import random_weights

STATE = random_weights(SMALL_SEMANTIC, seed=5)
W = {name: tensor.double().numpy() for name, tensor in STATE.items()}
LAYERS = ("", "layer-0", "layer-1", "layer-2")


def save(folder: Path, shards: int = 1) -> Path:
    """Its weights as MiDashengLM has them: among others, in pieces with an index."""
    folder.mkdir(exist_ok=True)
    tensors = {
        "audio_encoder." + name.replace("init_bn.1.", "init_bn."): tensor
        for name, tensor in STATE.items()
        if not name.startswith("front_end.")
    }
    config = {"model_type": "midashenglm", "audio_encoder_config": asdict(SMALL_SEMANTIC)}
    (folder / "config.json").write_text(json.dumps(config))
    places = {name: f"model-{i % shards}.safetensors" for i, name in enumerate(sorted(tensors))}
    for file in set(places.values()):
        part = {name: one for name, one in tensors.items() if places[name] == file}
        safetensors.torch.save_file(part, folder / file)
    places["decoder.model.norm.weight"] = "model-of-language.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("midashenglm"), shards=2)


def by_definition(clip: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer of one clip: chunk by chunk, block by block."""
    mel = reference.semantic_mel(reference.lengthened(clip, 480), W, "")
    states: dict[str, list[np.ndarray]] = {layer: [] for layer in LAYERS}
    for start in range(0, len(mel) // 4 * 4, 1008):
        chunk = mel[start : start + 1008]
        x = reference.patches(chunk, W["patch_embed.proj.weight"], W["patch_embed.proj.bias"])
        x = x + W["time_pos_embed"][0, :, 0, : len(x)].T + W["freq_pos_embed"][0, :, 0, 0]
        states["layer-0"].append(x)
        for i in range(2):
            x = reference.block(x, W, f"blocks.{i}.", SMALL_SEMANTIC.num_heads)
            states[f"layer-{i + 1}"].append(x)
        states["layer-2"][-1] = reference.layer_norm(x, W, "norm.")
        states[""].append(states["layer-2"][-1])
    return {layer: np.concatenate(parts) for layer, parts in states.items()}


def test_every_layer_is_what_the_definition_says_in_one_batch(folder: Path) -> None:
    encoders = load_encoders(["midashenglm", "midashenglm:layer-all"], weights=folder)
    assert [one.name.partition(":")[2] for one in encoders] == list(LAYERS)
    clips = [noise(n, seed=n) for n in (1, 700, 161_439, 40_000)]
    lengths = torch.tensor([len(clip) for clip in clips])
    batch = torch.full((4, 161_500), float("nan"))
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    shared = encoders[0].shared
    assert all(one.shared is shared for one in encoders)
    with torch.inference_mode():
        found = shared.encode_outputs(batch, lengths, LAYERS)
    for i, clip in enumerate(clips):
        for layer, values in by_definition(clip).items():
            count = int(found[layer].lengths[i])
            assert count == max(1, (1 + len(clip) // 160) // 4) == len(values)
            off = found[layer].values[i, :count].double() - torch.from_numpy(values)
            assert off.abs().max() < 1e-4, (layer, len(clip))


def test_it_keeps_its_contract(folder: Path) -> None:
    for name in ("midashenglm", "midashenglm:layer-1"):
        encoder = load_encoder(name, weights=folder)
        assert (encoder.sample_rate, encoder.frame_rate, encoder.embedding_dim) == (16_000, 25, 64)
        assert breaches(encoder) == []


def test_layers_have_fingerprints_of_their_own(folder: Path, tmp_path: Path) -> None:
    encoders = load_encoders(["midashenglm:layer-all"], weights=folder)
    prints = [one.fingerprint() for one in encoders]
    assert len(set(prints)) == 3
    again = load_encoder("midashenglm:layer-1", weights=save(tmp_path / "whole"))
    assert again.fingerprint() == prints[1]
    with pytest.raises(EncoderError, match="'midashenglm' has layers 0 to 2, no 3"):
        load_encoder("midashenglm:layer-3", weights=folder)


def test_only_the_pieces_of_the_audio_encoder_are_fetched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def download(repo: str, name: str, **_: object) -> str:
        assert repo == "mispeech/midashenglm-7b-1021-fp32"
        asked.append(name)
        return str(folder / name)

    monkeypatch.setattr(tensors, "hf_hub_download", download)
    monkeypatch.setattr(
        "earmark.encoders.baselines.checkpoint.try_to_load_from_cache", lambda *_, **__: None
    )
    monkeypatch.setattr("earmark.encoders.baselines.checkpoint.out_of_reach", lambda *_: None)
    assert load_encoder("midashenglm").embedding_dim == 64
    assert asked == [
        "config.json", "model.safetensors.index.json", "model-0.safetensors", "model-1.safetensors",
    ]  # fmt: skip


def test_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors.index.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(EncoderError, match=r"model-0.safetensors cannot be read"):
        load_encoder("midashenglm", weights=tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EncoderError, match="holds a model of type 'bert'"):
        load_encoder("midashenglm", weights=tmp_path)
