"""Where a frozen semantic encoder may come from, and what is said where it is none."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import safetensors.torch
import torch
from training_files import DECODER, SIZES, dasheng_file

from earmark.encoders.dasheng import (
    SemanticConfig,
    random_weights,
    save_checkpoint,
    save_dasheng_file,
)
from earmark.encoders.dasheng.checkpoint import checkpoint_name
from earmark.encoders.dasheng.training.semantic_source import find_semantic, load_semantic
from earmark.encoders.encoder import EncoderError

STATE = random_weights(SIZES, 7)
NAMES = {  # ours, and those of a Dasheng file
    "mel.window": "front_end.0.spectrogram.window",
    "mel.filters": "front_end.0.mel_scale.fb",
    "band_norm.running_mean": "init_bn.1.running_mean",
    "patch_embed.weight": "patch_embed.proj.weight",
    "blocks.0.attn.qkv.weight": "blocks.0.attn.qkv.weight",
    "norm.bias": "norm.bias",
}


def read(path):
    """The semantic path: frozen, in inference mode, with STATE's weights."""
    found, sizes = load_semantic(path)
    assert sizes == SIZES
    assert not any(weight.requires_grad for weight in found.parameters())
    assert not found.training
    mine = found.state_dict()
    assert len(mine) == len(STATE)
    for ours, theirs in NAMES.items():
        assert torch.equal(mine[ours], STATE[theirs]), ours
    return found


def refusal(path, read=load_semantic):
    with pytest.raises(EncoderError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def midasheng(folder, shards=0, **settings):
    """MiDashengLM's layout: window and filters left out, batch norm under a name of its own."""
    tensors = {"language_model.head.weight": torch.zeros(3, 3)}
    for name, tensor in STATE.items():
        if name.startswith("front_end.") or name.endswith("num_batches_tracked"):
            continue
        tensors["audio_encoder." + name.replace("init_bn.1.", "init_bn.")] = tensor
    folder.mkdir(exist_ok=True)
    values = {"model_type": "midashenglm", "audio_encoder_config": asdict(SIZES) | settings}
    (folder / "config.json").write_text(json.dumps(values))
    if not shards:
        safetensors.torch.save_file(tensors, folder / "model.safetensors")
        return folder
    places = {name: f"model-{i % shards}.safetensors" for i, name in enumerate(tensors)}
    places["language_model.tail.weight"] = "model-not-there.safetensors"  # need not be opened
    for file in {places[name] for name in tensors}:
        part = {name: tensors[name] for name in tensors if places[name] == file}
        safetensors.torch.save_file(part, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def test_a_dasheng_file_and_its_folder(tmp_path):
    path = save_dasheng_file(tmp_path / "dasheng.pt", SIZES, STATE)
    before = read(path).state_dict()
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "state.pt").write_bytes(b"none of its business")
    after = read(tmp_path).state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_tokenizer_s_folder(tmp_path):
    sizes = DECODER.with_semantic(SIZES)
    weights = random_weights(sizes, 1) | {f"encoder.model.{k}": v for k, v in STATE.items()}
    read(save_checkpoint(tmp_path / "tokenizer", sizes, weights))
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    found, _ = load_semantic(save_checkpoint(tmp_path / "half", sizes, half))
    assert {one.dtype for one in found.parameters()} == {torch.float32}


@pytest.mark.parametrize("shards", [0, 1, 3])
def test_midashenglm(tmp_path, shards):
    found = read(midasheng(tmp_path, shards)).state_dict()
    for name, tensor in found.items():
        theirs = STATE[checkpoint_name(f"semantic.{name}").removeprefix("encoder.model.")]
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, theirs), name


@pytest.mark.parametrize(
    "file", ["../elsewhere.safetensors", "/etc/passwd", "deep/model.safetensors", ".."]
)
def test_an_index_that_leads_out_of_its_folder(tmp_path, file):
    folder = midasheng(tmp_path / "m", 1)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"audio_encoder.norm.weight": file}}))
    message = refusal(folder)
    assert message == f"{index} names a file outside of its folder"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", "{", "config.json cannot be read as JSON"),
        ("config.json", "[1]", "config.json must hold a JSON object"),
        ("config.json", '{"model_type": "bert"}', "model_type is 'bert'"),
        ("config.json", '{"model_type": "midashenglm", "audio_encoder_config": 3}', "no settings"),
        ("model.safetensors.index.json", "{}", "index.json cannot be read"),
        ("model.safetensors.index.json", '{"weight_map": 5}', "index.json cannot be read"),
        ("model.safetensors.index.json", '{"weight_map": {"a": "b"}}', "holds no tensor whose na"),
        ("model.safetensors", "nothing", "cannot be read as safetensors"),
    ],
)
def test_damaged_files_of_midashenglm(tmp_path, file, content, said):
    folder = midasheng(tmp_path)
    (folder / file).write_text(content)
    message = refusal(folder)
    assert said in message
    assert str(folder) in message


def test_weights_of_other_sizes(tmp_path):
    assert "does not fit its configuration" in refusal(midasheng(tmp_path / "m", embed_dim=32))
    path = save_dasheng_file(tmp_path / "other.pt", SemanticConfig(16, 2, 2), STATE)
    assert f"{path} does not fit its configuration: missing blocks.1." in refusal(path)


def test_nothing_there(tmp_path):
    for read_it in (load_semantic, find_semantic):
        message = refusal(tmp_path / "none", read_it)
        assert message.startswith(f"no semantic encoder at {tmp_path / 'none'}")
        assert "give a Dasheng .pt file" in message
    assert "but 0 .pt files: give" in refusal(tmp_path)
    dasheng_file(tmp_path)
    (tmp_path / "second.pt").write_bytes(b"")
    assert "but 2 .pt files: give" in refusal(tmp_path)
    assert "second.pt cannot be read as a .pt file" in refusal(tmp_path / "second.pt")
    assert "by --semantic" in refusal(None, find_semantic)
