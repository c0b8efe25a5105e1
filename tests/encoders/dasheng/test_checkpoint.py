"""Reading checkpoints: every key accounted for, clear errors, nothing run, no network needed."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from dasheng_reference import SMALL, SMALL_SEMANTIC

from earmark.encoders import EncoderError
from earmark.encoders.dasheng import (
    DASHENG_MODELS,
    SemanticConfig,
    TokenizerConfig,
    load,
    load_dasheng_encoder,
    random_weights,
    save_checkpoint,
    save_dasheng_file,
)
from earmark.encoders.dasheng.checkpoint import read_safetensors, without_weights
from earmark.encoders.dasheng.tokenizer import DashengTokenizer

STATE = random_weights(SMALL, seed=3)
FAMILY_STATE = random_weights(SMALL_SEMANTIC, seed=3)


@pytest.fixture
def folder(tmp_path):
    return save_checkpoint(tmp_path / "small", SMALL, STATE)


def refused(folder, *names):
    """load() refuses, in one line that holds all these words."""
    with pytest.raises(EncoderError) as caught:
        load(weights=folder)
    said = str(caught.value)
    assert "\n" not in said
    for name in names:
        assert name in said, said


def test_names_and_shapes_are_the_published_ones():
    d, h, inner = 64, 48, 80
    model, convnext = "encoder.model.", "decoder.backbone.convnext."
    pair = ("weight", "bias")
    expected = {
        model + "time_pos_embed": (1, d, 1, 252),
        model + "freq_pos_embed": (1, d, 1, 1),
        model + "front_end.0.spectrogram.window": (512,),
        model + "front_end.0.mel_scale.fb": (257, 64),
        model + "patch_embed.proj.weight": (d, 1, 64, 4),
        model + "patch_embed.proj.bias": (d,),
        model + "init_bn.1.num_batches_tracked": (),
        "encoder.front_end.mel_spec.spectrogram.window": (1024,),
        "encoder.front_end.mel_spec.mel_scale.fb": (513, 128),
        "encoder.patch_embed.weight": (d, 1, 128, 4),
        "encoder.patch_embed.bias": (d,),
        "upsampler.weight": (d, d, 2),
        "upsampler.bias": (d,),
        "decoder.backbone.embed.weight": (h, d, 7),
        "decoder.backbone.embed.bias": (h,),
        "decoder.head.out.weight": (1282, h),
        "decoder.head.out.bias": (1282,),
        "decoder.head.istft.window": (1280,),
    }
    for key in (*pair, "running_mean", "running_var"):
        expected[f"{model}init_bn.1.{key}"] = (64,)
    for key in pair:
        expected |= {f"{model}norm.{key}": (d,), f"encoder.norm.{key}": (d,)}
        expected[f"decoder.backbone.norm.{key}"] = (h,)
        expected[f"decoder.backbone.final_layer_norm.{key}"] = (h,)
    for i in range(2):
        at = f"{model}blocks.{i}."
        for key in pair:
            expected |= {f"{at}norm1.{key}": (d,), f"{at}norm2.{key}": (d,)}
            expected[f"{convnext}{i}.norm.{key}"] = (h,)
        linears = {"attn.qkv": (3 * d, d), "attn.proj": (d, d), "mlp.fc1": (4 * d, d)}
        for name, shape in (linears | {"mlp.fc2": (d, 4 * d)}).items():
            expected |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[:1]}
        at = f"{convnext}{i}."
        expected |= {f"{at}gamma": (h,), f"{at}dwconv.weight": (h, 1, 7), f"{at}dwconv.bias": (h,)}
        expected |= {f"{at}pwconv1.weight": (inner, h), f"{at}pwconv1.bias": (inner,)}
        expected |= {f"{at}pwconv2.weight": (h, inner), f"{at}pwconv2.bias": (h,)}
    assert {key: tuple(tensor.shape) for key, tensor in STATE.items()} == expected
    ours = {model + key: tuple(tensor.shape) for key, tensor in FAMILY_STATE.items()}
    assert ours == {key: shape for key, shape in expected.items() if key.startswith(model)}


def test_sizes_are_the_published_ones():
    network = without_weights(lambda: DashengTokenizer(TokenizerConfig()))

    def millions(module):
        return sum(parameter.numel() for parameter in module.parameters()) / 1e6

    assert round(millions(network)) == 805
    assert round(millions(network.semantic)) == 630
    assert round(millions(network.acoustic), 2) == 0.66
    assert round(millions(network.decoder.upsampler), 1) == 3.3
    assert round(millions(network.decoder) - millions(network.decoder.upsampler)) == 171
    sizes = {name: vars(model.config) for name, model in DASHENG_MODELS.items()}
    assert sizes["dasheng-base"] == {"embed_dim": 768, "depth": 12, "num_heads": 12}
    assert sizes["dasheng-0.6b"] == {"embed_dim": 1280, "depth": 32, "num_heads": 16}
    assert sizes["dasheng-1.2b"] == {"embed_dim": 1536, "depth": 40, "num_heads": 24}


def test_what_is_written_is_read_back(folder):
    again = read_safetensors(folder / "model.safetensors")
    assert again.keys() == STATE.keys()
    assert all(torch.equal(again[key], STATE[key]) for key in STATE)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "dashengtokenizer"
    first, second = load(weights=folder)[0], load(weights=str(folder))[0]
    assert first.fingerprint() == second.fingerprint()
    # held where the file's are, in their place: nothing is drawn or copied
    window = first.shared.get_buffer("decoder.head.window")
    assert torch.equal(window, STATE["decoder.head.istft.window"])
    other = save_checkpoint(folder.parent / "other", SMALL, random_weights(SMALL, seed=4))
    assert load(weights=other)[0].fingerprint() != first.fingerprint()


def test_same_seed_same_weights():
    again, other = random_weights(SMALL, seed=3), random_weights(SMALL, seed=4)
    assert all(torch.equal(again[key], STATE[key]) for key in STATE)
    assert not torch.equal(other["upsampler.weight"], STATE["upsampler.weight"])


def test_half_precision_weights_are_widened(tmp_path):
    halves = {k: t.half() if t.is_floating_point() else t for k, t in STATE.items()}
    encoder = load(weights=save_checkpoint(tmp_path, SMALL, halves))[0]
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "key",
    [
        "encoder.model.blocks.1.attn.qkv.bias",
        "encoder.model.init_bn.1.num_batches_tracked",
        "encoder.front_end.mel_spec.mel_scale.fb",
        "decoder.head.istft.window",
    ],
)
def test_missing_unexpected_and_misshapen_keys_are_named(tmp_path, key):
    rest = {name: tensor for name, tensor in STATE.items() if name != key}
    refused(save_checkpoint(tmp_path / "a", SMALL, rest), "missing", key, "model.safetensors")
    refused(
        save_checkpoint(tmp_path / "b", SMALL, STATE | {key + "x": torch.ones(2)}),
        "unexpected", key + "x",
    )  # fmt: skip
    bent = save_checkpoint(tmp_path / "c", SMALL, STATE | {key: torch.ones(3, 5)})
    refused(bent, "misshapen", key, "(3, 5)", str(tuple(STATE[key].shape)))


def test_many_faults_stay_one_short_line(tmp_path):
    config = TokenizerConfig(**{**vars(SMALL), "depth": 3, "embed_dim": 32})
    folder = save_checkpoint(tmp_path, config, STATE)
    refused(folder, "missing encoder.model.blocks.2.", "misshapen", "and 7 more")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_heads": 5}, ["embed_dim 64", "num_heads 5"]),
        ({"model_type": "whisper"}, ["model_type", "'whisper'", "'dashengtokenizer'"]),
        ({"depth": 0}, ["depth is 0"]),
        ({"depth": "2"}, ["depth is '2'"]),
        ({"depth": True}, ["depth is True"]),
        ({"embed_dim": None}, ["embed_dim is None"]),
        ({"hop_length": 320}, ["hop_length is 320"]),
        ({"istft_hop": 160}, ["upsample_tokens x istft_hop", "640"]),
        ({"istft_n_fft": 1281}, ["istft_n_fft is 1281"]),
        ({"istft_n_fft": 200}, ["istft_n_fft is 200"]),
    ],
)
def test_configurations_that_cannot_be(folder, change, words):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(folder, "config.json", *words)


def test_configuration_keys_have_defaults_and_others_are_passed_over(tmp_path):
    config = {"auto_map": {"AutoModel": "code.Model"}, "torch_dtype": "float32"}
    folder = save_checkpoint(tmp_path, SMALL, STATE)
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "misshapen", "(1, 64, 1, 252) for (1, 1280, 1, 252)")  # the default sizes
    (folder / "config.json").write_text(json.dumps(config | vars(SMALL)))
    assert load(weights=folder)[0].embedding_dim == 64


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_configuration_that_cannot_be_read(folder, text):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    refused(folder, "config.json")


def test_files_that_are_not_there_or_broken(folder, tmp_path):
    refused(tmp_path / "nowhere", "no config.json", "nowhere")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    refused(folder, "model.safetensors", "cannot be read as safetensors")
    (folder / "model.safetensors").unlink()
    refused(folder, "no model.safetensors")


def test_unknown_precision(folder):
    with pytest.raises(EncoderError, match="'int8' is unknown"):
        load(weights=folder, precision="int8")


# An address that never answers, then one that refuses at once.
OFFLINE = """
import os, socket, time
with socket.socket() as server:
    server.bind(("127.0.0.1", 0))
    server.listen(1)
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.getsockname()[1]}"
    from earmark.encoders import EncoderError
    from earmark.encoders.dasheng import fetch, load
    spared = fetch.PROBE_SECONDS - 0.4  # of the wait; it counts as if waited for
    fetch.PROBE_SECONDS = 0.4
    for name in ("", "acoustic"):
        started = time.monotonic()
        try:
            load((name,))
        except EncoderError as error:
            print(time.monotonic() - started + spared, error)
        server.close()
"""


def test_no_network_and_no_cache_is_one_line_within_10_seconds(tmp_path):
    root = Path(__file__).parents[3]
    environment = {
        "HF_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, reason in zip(lines, ("timed out", "refused"), strict=True):
        took, _, said = line.partition(" ")
        assert float(took) < 8
        for word in ("model.safetensors", "mispeech/dashengtokenizer", "http://127", reason):
            assert word in said, said
        assert "--weights DIR" in said


def test_what_the_cache_holds_needs_no_network(tmp_path, monkeypatch, folder):
    from huggingface_hub import constants

    asked = []

    def download(repository, file, **options):
        asked.append((repository, file, options["local_files_only"], options["token"]))
        return str(folder / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load()[0].embedding_dim == 64
    assert {file for _, file, _, _ in asked} == {"config.json", "model.safetensors"}
    assert {(repository, local, token) for repository, _, local, token in asked} == {
        ("mispeech/dashengtokenizer", True, False)
    }


def test_what_the_cache_lacks_is_fetched(monkeypatch, folder):
    from huggingface_hub import constants

    class Session:
        def head(self, address, timeout, follow_redirects):
            assert (
                address
                == f"{constants.ENDPOINT}/mispeech/dashengtokenizer/resolve/main/config.json"
            )
            assert follow_redirects and timeout <= 4
            return self

        def raise_for_status(self):
            return self

    fetched = []

    def download(repository, file, *, revision, local_files_only, etag_timeout, token):
        if local_files_only:
            raise FileNotFoundError(file)
        fetched.append((repository, file, revision, token))
        return str(folder / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.get_session", Session)
    assert load()[0].embedding_dim == 64
    assert [file for _, file, _, _ in fetched] == ["config.json", "model.safetensors"]
    assert {fact for name, _, *rest in fetched for fact in (name, *rest)} == {
        "mispeech/dashengtokenizer", "main", False,
    }  # fmt: skip


def test_dasheng_files(tmp_path):
    path = save_dasheng_file(tmp_path / "dasheng_base.pt", SMALL_SEMANTIC, FAMILY_STATE)
    for weights in (path, str(path), tmp_path):  # a folder that holds it under its own name
        encoder = load_dasheng_encoder("dasheng-base", weights)
        assert encoder.config == vars(SMALL_SEMANTIC)
        assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    older = tmp_path / "older.pt"
    torch.save(torch.load(path, weights_only=True), older, _use_new_zipfile_serialization=False)
    again = load_dasheng_encoder("dasheng-base", older)
    assert again.fingerprint() == encoder.fingerprint()


def family_refused(name, weights, *words):
    with pytest.raises(EncoderError) as caught:
        load_dasheng_encoder(name, weights)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_dasheng_files_that_do_not_fit(tmp_path):
    path = tmp_path / "some.pt"
    rest = {key: tensor for key, tensor in FAMILY_STATE.items() if key != "norm.bias"}
    save_dasheng_file(path, SMALL_SEMANTIC, rest)
    family_refused("dasheng-base", path, "some.pt", "missing norm.bias")
    extra = FAMILY_STATE | {"cls_token": torch.zeros(1)}
    save_dasheng_file(path, SMALL_SEMANTIC, extra)
    family_refused("dasheng-base", path, "unexpected cls_token")
    save_dasheng_file(path, SemanticConfig(64, 2, 2), FAMILY_STATE | {"norm.bias": torch.zeros(7)})
    family_refused("dasheng-base", path, "misshapen norm.bias (7,) for (64,)")
    torch.save({"model": FAMILY_STATE, "config": {}}, path)  # the sizes are those of the name
    family_refused("dasheng-1.2b", path, "missing blocks.2.", "for (1, 1536, 1, 252)")
    torch.save({"model": FAMILY_STATE, "config": vars(SMALL_SEMANTIC) | {"n_mels": 128}}, path)
    family_refused("dasheng-base", path, "n_mels is 128; only 64")
    torch.save({"model": FAMILY_STATE, "config": vars(SMALL_SEMANTIC) | {"pooling": "token"}}, path)
    family_refused("dasheng-base", path, "pooling")
    same = {"patch_size": (64, 4), "target_length": 1008, "mlp_ratio": 4.0, "pooling": "mean"}
    torch.save({"model": FAMILY_STATE, "config": vars(SMALL_SEMANTIC) | same}, path)
    assert load_dasheng_encoder("dasheng-base", path).embedding_dim == 64
    torch.save(FAMILY_STATE, path)
    family_refused("dasheng-base", path, "some.pt", "`model` and `config`")
    family_refused("dasheng-base", tmp_path / "nowhere.pt", "nowhere.pt")
    family_refused("dasheng-tiny", path, "unknown", "dasheng-base")
    path.write_bytes(b"no tensors here")
    family_refused("dasheng-base", path, "cannot be read as a .pt file")


class Trap:
    def __reduce__(self):
        return (print, ("this ran",))


def test_nothing_in_a_pt_file_is_run(tmp_path, capsys):
    path = tmp_path / "trap.pt"
    torch.save({"model": FAMILY_STATE, "config": Trap()}, path)
    family_refused("dasheng-base", path, "cannot be read as a .pt file")
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    family_refused("dasheng-base", path, "cannot be read as a .pt file")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", list(DASHENG_MODELS))
def test_without_a_checksum_nothing_is_downloaded(name):
    file = DASHENG_MODELS[name].file
    family_refused(name, None, name, "11511780", file, f"--weights {file}", "checksum")
