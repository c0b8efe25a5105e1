"""LoSATok against its definition in float64, and what is said of files that do not fit."""

from __future__ import annotations

from pathlib import Path

import dasheng_reference as reference
import numpy as np
import pytest
import torch
from conforming import breaches
from dasheng_reference import SMALL, noise

from earmark.encoders import Codec, EncoderError, Frames, load_encoder, load_encoders
from earmark.encoders.dasheng.checkpoint import draw_weights, without_weights
from earmark.encoders.dasheng.config import TokenizerConfig
from earmark.encoders.losatok.checkpoint import NAMES
from earmark.encoders.losatok.network import LoSATokConfig, LoSATokPass

TOKENIZER = TokenizerConfig(**(vars(SMALL) | {"num_heads": 16}))
SIZES = LoSATokConfig(TOKENIZER, latent=12, inner=20)
STATE = draw_weights(without_weights(lambda: LoSATokPass(SIZES)), NAMES, seed=4)
W = {name: tensor.double().numpy() for name, tensor in STATE.items()}
OUTPUTS = ("", "semantic", "acoustic")
FROZEN, TOKENS = "semantic_encoder.", "dasheng_tokenizer."


def published() -> dict[str, torch.Tensor]:
    """Its tensors as the training saves them: with what only training uses."""
    unused = {
        f"{FROZEN}bottleneck.upsample.0.weight": torch.ones(20, 12),
        "fc_logvar.weight": torch.ones(12, 12),
        "fc_logvar.bias": torch.ones(12),
    }
    return {
        name: one for name, one in STATE.items() if ".encoder.front_end.0." not in name
    } | unused


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("losatok")
    torch.save({"state_dict": published()}, made / "losatok_kl1e-2.pth")
    return made


def by_definition(clip: np.ndarray) -> dict[str, np.ndarray]:
    samples = reference.lengthened(clip)
    frozen = {
        key.removeprefix(f"{FROZEN}encoder.").replace("init_bn.", "init_bn.1."): value
        for key, value in W.items()
        if key.startswith(f"{FROZEN}encoder.")
    }
    tokenizer = {key.removeprefix(TOKENS): value for key, value in W.items()}
    high = reference.acoustic(samples, tokenizer, SMALL.n_mels_patch)
    fine = reference.linear(high, W, "fc_a.")
    wide = reference.semantic(samples, frozen, TOKENIZER.semantic, "")[: len(fine)]
    at = f"{FROZEN}bottleneck.downsample."
    coarse = reference.linear(reference.gelu(reference.linear(wide, W, at + "0.")), W, at + "2.")
    mean = reference.linear(coarse + fine, W, "fc_mu.")
    return {"": mean, "semantic": coarse, "acoustic": fine}


def test_all_outputs_are_what_the_definition_says_in_one_batch(folder: Path) -> None:
    names = [f"losatok:{output}".rstrip(":") for output in OUTPUTS]
    encoders = load_encoders(names, weights=folder)
    assert [isinstance(one, Codec) for one in encoders] == [True, False, False]
    assert len({one.fingerprint() for one in encoders}) == 3
    clips = [noise(n, seed=n) for n in (1, 513, 30_000, 161_439)]
    batch = torch.full((4, 161_500), float("nan"))
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    with torch.inference_mode():
        found = encoders[0].shared.encode_outputs(
            batch, torch.tensor([len(clip) for clip in clips]), OUTPUTS
        )
    for i, clip in enumerate(clips):
        for output, values in by_definition(clip).items():
            count = int(found[output].lengths[i])
            assert count == len(values)
            off = found[output].values[i, :count].double() - torch.from_numpy(values)
            assert off.abs().max() < 1e-4, (output, len(clip))


def test_decoding_is_what_the_definition_says(folder: Path) -> None:
    codec = load_encoder("losatok", weights=folder / "losatok_kl1e-2.pth")
    assert isinstance(codec, Codec)
    counts = [3, 9]
    latents = np.random.default_rng(1).standard_normal((2, 9, 12))
    values = torch.from_numpy(latents.astype(np.float32))
    values[0, 3:] = float("nan")
    with torch.inference_mode():
        sound, lengths = codec.decode(Frames(values, torch.tensor(counts)))
    w = {key.removeprefix(TOKENS): value for key, value in W.items()}
    for row, count in enumerate(counts):
        expected = reference.decode(latents[row, :count], w, TOKENIZER)
        assert int(lengths[row]) == len(expected) == 640 * count
        off = sound[row, : len(expected)].double() - torch.from_numpy(expected)
        assert off.abs().max() < 1e-5 * max(1, np.abs(expected).max())


def test_it_keeps_its_contract(folder: Path) -> None:
    for output in OUTPUTS:
        encoder = load_encoder(f"losatok:{output}".rstrip(":"), weights=folder)
        assert (encoder.sample_rate, encoder.frame_rate, encoder.embedding_dim) == (16_000, 25, 12)
        assert encoder.name.startswith("losatok@config-")
        assert breaches(encoder) == []


def test_frozen_part_may_lie_in_its_own_file(folder: Path, tmp_path: Path) -> None:
    whole = published()
    own = {key: one for key, one in whole.items() if not key.startswith(FROZEN)}
    (tmp_path / "ckpts").mkdir()
    torch.save(own, tmp_path / "ckpts" / "losatok_kl1e-3.pth")
    with pytest.raises(EncoderError, match=r"lacks the semantic encoder; put semantic_encoder.pth"):
        load_encoder("losatok-kl1e-3", weights=tmp_path)
    frozen = {key.removeprefix(FROZEN): one for key, one in whole.items() if key not in own}
    torch.save({"state_dict": frozen}, tmp_path / "ckpts" / "semantic_encoder.pth")
    found = load_encoder("losatok-kl1e-3", weights=tmp_path)
    clip = torch.from_numpy(noise(9000))[None]
    first = load_encoder("losatok", weights=folder).encode(clip, torch.tensor([9000]))
    assert torch.equal(found.encode(clip, torch.tensor([9000])).values, first.values)


def test_what_does_not_fit_is_said_in_a_line(folder: Path, tmp_path: Path) -> None:
    def refusal(state: object) -> str:
        path = tmp_path / "losatok_kl1e-2.pth"
        path.unlink(missing_ok=True)
        if state is not None:
            torch.save(state, path)
        with pytest.raises(EncoderError) as caught:
            load_encoder("losatok", weights=tmp_path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    whole = published()
    assert "no losatok_kl1e-2.pth in" in refusal(None)
    assert "must hold tensors by name" in refusal([1])
    assert "is no checkpoint of LoSATok" in refusal({f"{FROZEN}encoder.norm.bias": torch.ones(2)})
    assert "unexpected extra.weight" in refusal(whole | {"extra.weight": torch.ones(2)})
    assert "missing fc_mu.bias" in refusal({k: v for k, v in whole.items() if k != "fc_mu.bias"})
    assert "cannot be read as a .pth file" in refusal({"state_dict": Path("x")})
    with pytest.raises(EncoderError, match=r"give it by --weights losatok_kl1e-2.pth"):
        load_encoder("losatok")
