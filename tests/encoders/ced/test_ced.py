"""CED against a calculation in float64 from its paper and its sizes, one clip at a time."""

from __future__ import annotations

from pathlib import Path

import dasheng_reference as reference
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from earmark.benchmark.conformance.run import validate
from earmark.encoders import EncoderError, load_encoder, load_encoders
from earmark.encoders.ced import MODELS

Array = NDArray[np.float64]
WIDTH, DEPTH, HEADS = 128, 2, 2


def checkpoint(columns: int = 63, seed: int = 0) -> dict[str, torch.Tensor]:
    """A small CED under the names of the released files, classifier and front end among them."""
    rng = np.random.default_rng(seed)
    shapes = {
        "init_bn.1.weight": (64,), "init_bn.1.bias": (64,), "init_bn.1.running_mean": (64,),
        "time_pos_embed": (1, WIDTH, 1, columns), "freq_pos_embed": (1, WIDTH, 4, 1),
        "patch_embed.proj.weight": (WIDTH, 1, 16, 16), "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,), "norm.bias": (WIDTH,), "outputlayer.1.weight": (527, WIDTH),
        "front_end.0.spectrogram.window": (512,),
    }  # fmt: skip
    for i in range(DEPTH):
        at = f"blocks.{i}."
        shapes |= {f"{at}{norm}.{part}": (WIDTH,) for norm in ("norm1", "norm2")
                   for part in ("weight", "bias")}  # fmt: skip
        for layer, (out, into) in {
            "attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH),
            "mlp.fc1": (4 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 4 * WIDTH),
        }.items():  # fmt: skip
            shapes |= {f"{at}{layer}.weight": (out, into), f"{at}{layer}.bias": (out,)}
    found = {k: rng.normal(0, 0.1, shape).astype(np.float32) for k, shape in shapes.items()}
    found["init_bn.1.running_mean"] -= 30
    found["init_bn.1.running_var"] = rng.uniform(200, 400, 64).astype(np.float32)
    return {key: torch.from_numpy(value) for key, value in found.items()}


def save(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    path = folder / MODELS["ced-tiny"][1]
    torch.save(state, path)
    return path


def expected(samples: NDArray[np.float32], state: dict[str, torch.Tensor]) -> dict[str, Array]:
    """Grids (columns, 4, D) of the output and of each layer; pieces of 63 columns on their own."""
    w = {key: value.double().numpy() for key, value in state.items()}
    mel = reference.semantic_mel(samples, w, "")
    total = len(mel) // 16
    parts: dict[str, list[Array]] = {}
    for start in range(0, total, 63):
        columns = min(63, total - start)
        x = np.zeros((4, columns, WIDTH))
        for band in range(4):
            for column in range(columns):
                frame = 16 * (start + column)
                patch = mel[frame : frame + 16, 16 * band : 16 * band + 16].T
                kernel = w["patch_embed.proj.weight"][:, 0]
                x[band, column] = (kernel * patch).sum((1, 2)) + w["patch_embed.proj.bias"]
                x[band, column] += w["time_pos_embed"][0, :, 0, column]
                x[band, column] += w["freq_pos_embed"][0, :, band, 0]
        x = x.reshape(-1, WIDTH)
        states = [x]
        for i in range(DEPTH):
            states.append(reference.block(states[-1], w, f"blocks.{i}.", HEADS))
        named = {f"layer-{i}": state for i, state in enumerate(states)}
        named[""] = reference.layer_norm(states[-1], w, "norm.")
        for name, values in named.items():
            parts.setdefault(name, []).append(values.reshape(4, columns, WIDTH).swapaxes(0, 1))
    return {name: np.concatenate(found) for name, found in parts.items()}


def encode(encoder: object, samples: NDArray[np.float32]) -> Array:
    waveform = torch.from_numpy(samples)[None]
    frames = encoder.encode(waveform, torch.tensor([len(samples)]))  # type: ignore[attr-defined]
    return frames.values[0, : int(frames.lengths[0])].double().numpy()  # type: ignore[no-any-return]


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return checkpoint()


@pytest.mark.parametrize("samples", [16 * 160 * 5 + 37, 172_000])
def test_every_output_is_that_of_the_formulas(
    tmp_path: Path, state: dict[str, torch.Tensor], samples: int
) -> None:
    path = save(tmp_path, state)
    audio = reference.noise(samples)
    wanted = expected(audio, state)
    names = ["ced-tiny", "ced-tiny:grid", "ced-tiny:layer-all"]
    for encoder in load_encoders(names, weights=path):
        output = encoder.name.partition(":")[2]
        grid = wanted["" if output == "grid" else output]
        frames = grid.reshape(len(grid), -1) if output == "grid" else grid.mean(1)
        found = encode(encoder, audio)
        assert found.shape == (samples // 160 // 16 + (samples // 160 % 16 == 15), found.shape[1])
        np.testing.assert_allclose(found, frames, atol=3e-4 * np.abs(frames).max())
        assert encoder.embedding_dim == found.shape[1]
    assert encoder.frame_rate == 6.25


def test_the_hubs_layout_and_a_folder_are_the_same_model(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    audio = reference.noise(20_000)
    first = load_encoder("ced-tiny", weights=save(tmp_path, state))
    folder = tmp_path / "hub"
    folder.mkdir()
    other = {f"encoder.{k}".replace("init_bn.1.", "init_bn."): v for k, v in state.items()
             if not k.startswith(("front_end", "outputlayer"))}  # fmt: skip
    save_file(other | {"outputlayer.1.weight": torch.zeros(3)}, folder / "model.safetensors")
    second = load_encoder("ced-tiny", weights=folder)
    assert first.fingerprint() == second.fingerprint()
    assert np.array_equal(encode(first, audio), encode(second, audio))


def test_clips_of_a_batch_are_as_alone(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    encoder = load_encoder("ced-tiny:grid", weights=save(tmp_path, state))
    clips = [reference.noise(n, seed) for seed, n in enumerate((100, 170_000, 33_333))]
    waveforms = torch.full((3, 170_500), 0.7)  # what is beyond a clip is never heard
    for row, clip in enumerate(clips):
        waveforms[row, : len(clip)] = torch.from_numpy(clip)
    frames = encoder.encode(waveforms, torch.tensor([len(clip) for clip in clips]))
    assert frames.lengths.tolist() == [1, 66, 13]
    for row, clip in enumerate(clips):
        own = frames.values[row, : frames.lengths[row]].double().numpy()
        np.testing.assert_allclose(own, encode(encoder, clip), atol=1e-4)


def test_another_size_has_another_name(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    assert load_encoder("ced-tiny", weights=save(tmp_path, state)).name.startswith("ced-tiny@conf")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda s: s.pop("norm.bias"), "missing norm.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda s: s.update({"norm.weight": torch.zeros(3)}), "norm.weight (3,) for (128,)"),
        (lambda s: s.pop("patch_embed.proj.weight"), "no checkpoint of CED"),
        (lambda s: s.update({"patch_embed.proj.weight": torch.zeros(128, 1, 64, 4)}), "64 x 4"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, state: dict[str, torch.Tensor], fault: object, said: str
) -> None:
    fault(state)  # type: ignore[operator]
    path = save(tmp_path, state)
    with pytest.raises(EncoderError) as caught:
        load_encoder("ced-tiny", weights=path)
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"audiotransformer_base_mAP_4999.pt .* zenodo.org"):
        load_encoder("ced-base")
    with pytest.raises(EncoderError, match=r"no audiotransformer_base_.* or model.safetensors in"):
        load_encoder("ced-base", weights=tmp_path)
    path = tmp_path / "audiotransformer_tiny_mAP_4814.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(EncoderError, match="cannot be read as tensors"):
        load_encoder("ced-tiny", weights=tmp_path)
    torch.save({"model": {"a": 1}}, path)
    with pytest.raises(EncoderError, match="holds no tensors by name"):
        load_encoder("ced-tiny", weights=tmp_path)


def test_it_does_what_it_claims(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    encoder = load_encoder("ced-tiny:layer-1", weights=save(tmp_path, state))
    checks = validate(encoder, device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []
