"""The Oobleck autoencoders against diffusers', in both layouts that weights are published in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conforming import breaches
from safetensors.torch import save_file

from earmark.encoders import Codec, EncoderError, Frames, load_encoder
from earmark.encoders.oobleck import MODELS
from earmark.encoders.oobleck.network import OobleckPass

oobleck: Any = pytest.importorskip(
    "diffusers.models.autoencoders.autoencoder_oobleck", reason="diffusers is not installed"
)
MULTIPLES = {"ezaudio-vae": [1, 2, 4], "stable-audio-vae": [1, 2, 4]}
STRIDES = {"ezaudio-vae": [2, 4, 6], "stable-audio-vae": [2, 4, 8]}
RATE = {"ezaudio-vae": 24_000, "stable-audio-vae": 44_100}


def build(name: str, channels: int) -> Any:
    """A small model of diffusers; its snakes are not at the start of training."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = oobleck.AutoencoderOobleck(
            encoder_hidden_size=4, downsampling_ratios=STRIDES[name],
            channel_multiples=MULTIPLES[name], decoder_channels=4, decoder_input_channels=2,
            audio_channels=channels, sampling_rate=RATE[name],
        ).eval()  # fmt: skip
        for key, parameter in model.named_parameters():
            if key.endswith(("alpha", "beta")):
                parameter.data += 0.3 * torch.randn(parameter.shape)
            elif key.endswith("weight_g"):
                parameter.data *= 1 + 0.2 * torch.rand(parameter.shape)
    return model


def pairs(blocks: int) -> Iterator[tuple[str, str]]:
    """Modules in the order in which they compute: diffusers' name, stable-audio-tools' name."""
    leaves = ("snake1", "conv1", "snake2", "conv2")
    for half in ("encoder", "decoder"):
        steps = ["conv1"], ["layers.0"]
        for block in range(blocks):
            at, to = f"block.{block}.", f"layers.{block + 1}.layers."
            down = half == "encoder"
            for unit in range(3):
                steps[0].extend(f"{at}res_unit{unit + 1}.{leaf}" for leaf in leaves)
                place = unit if down else unit + 2
                steps[1].extend(f"{to}{place}.layers.{i}" for i in range(4))
            steps[0].extend([at + "snake1", at + ("conv1" if down else "conv_t1")])
            steps[1].extend([to + "3", to + "4"] if down else [to + "0", to + "1"])
        steps[0].extend(["snake1", "conv2"])
        steps[1].extend([f"layers.{blocks + 1}", f"layers.{blocks + 2}"])
        for theirs, others in zip(*steps, strict=True):
            yield f"{half}.{theirs}.", f"{half}.{others}."


def as_trained(model: Any) -> dict[str, torch.Tensor]:
    """The same weights as stable-audio-tools saves them in training."""
    state = model.state_dict()
    made = {"discriminator.weight": torch.ones(2), "autoencoder_ema.x": torch.ones(1)}
    for theirs, others in pairs(3):
        for key in [key for key in state if key.startswith(theirs)]:
            tensor = state[key].flatten() if "snake" in key else state[key]
            made[f"autoencoder.{others}{key.removeprefix(theirs)}"] = tensor
    return made


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {
        "ezaudio-vae": build("ezaudio-vae", 1),
        "stable-audio-vae": build("stable-audio-vae", 2),
    }


@pytest.fixture(scope="module")
def files(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One in each layout."""
    ez, stable = tmp_path_factory.mktemp("ez"), tmp_path_factory.mktemp("stable")
    torch.save({"state_dict": as_trained(models["ezaudio-vae"]), "epoch": 3}, ez / "1m.pt")
    (stable / "vae").mkdir()
    file = stable / "vae" / "diffusion_pytorch_model.safetensors"
    save_file(models["stable-audio-vae"].state_dict(), file)
    (file.parent / "config.json").write_text(json.dumps({"sampling_rate": 44_100}))
    return {"ezaudio-vae": ez, "stable-audio-vae": stable}


def noise(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [0.3 * torch.randn(n, generator=generator) for n in lengths]


def encode(codec: Codec, *audio: torch.Tensor) -> Frames:
    batch = torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True)
    with torch.inference_mode():
        return codec.encode(batch, torch.tensor([len(clip) for clip in audio]))


@pytest.mark.parametrize("name", ["ezaudio-vae", "stable-audio-vae"])
def test_mean_and_sound_are_those_of_diffusers(
    name: str, models: dict[str, Any], files: dict[str, Path]
) -> None:
    codec = load_encoder(name, weights=files[name])
    assert isinstance(codec, Codec)
    hop, channels = math.prod(STRIDES[name]), 2 if name == "stable-audio-vae" else 1
    assert (codec.sample_rate, codec.embedding_dim) == (RATE[name], 2)
    assert codec.frame_rate == RATE[name] / hop
    clips = noise(5 * hop, 7 * hop + 3, 1)
    together = encode(codec, *clips)
    with torch.inference_mode():
        sounds, samples = codec.decode(together)
        for row, clip in enumerate(clips):
            whole = torch.nn.functional.pad(clip, (0, -len(clip) % hop))
            latent = models[name].encode(whole.expand(1, channels, -1)).latent_dist.mode()
            sound = models[name].decode(latent).sample.mean(1)[0]
            count = int(together.lengths[row])
            assert count == latent.shape[2]
            found = together.values[row, :count]
            torch.testing.assert_close(found, latent[0].T, atol=1e-5, rtol=1e-5)
            assert int(samples[row]) == len(sound) == len(whole)
            torch.testing.assert_close(sounds[row, : len(sound)], sound, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["ezaudio-vae", "stable-audio-vae"])
def test_it_keeps_its_contract(name: str, files: dict[str, Path]) -> None:
    codec = load_encoder(name, weights=files[name])
    before = codec.fingerprint()
    assert breaches(codec) == []
    assert codec.fingerprint() == before


def test_layouts_give_the_same_encoder(
    models: dict[str, Any], files: dict[str, Path], tmp_path: Path
) -> None:
    model = models["ezaudio-vae"]
    (tmp_path / "ckpts").mkdir()
    save_file(model.state_dict(), tmp_path / "ckpts" / "vae.safetensors")
    config = {"model": {"autoencoder": {"pretrained_ckpt": "ckpts/vae.safetensors"}}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    uniflow = load_encoder("uniflow-vae", weights=tmp_path)
    inner = {
        f"pretransform.model.{key.removeprefix('autoencoder.')}": tensor
        for key, tensor in as_trained(model).items()
        if key.startswith("autoencoder.")
    }
    present = {  # torch's present way to keep a normalised weight
        key.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for key, tensor in inner.items()
    }
    torch.save(present, tmp_path / "whole.ckpt")
    whole = load_encoder("ezaudio-vae", weights=tmp_path / "whole.ckpt")
    ezaudio = load_encoder("ezaudio-vae", weights=files["ezaudio-vae"])
    (clip,) = noise(4800)
    for other in (uniflow, whole):
        assert torch.equal(
            other.encode(clip[None], torch.tensor([4800])).values,
            ezaudio.encode(clip[None], torch.tensor([4800])).values,
        )
    assert whole.fingerprint() == ezaudio.fingerprint()
    assert uniflow.name.startswith("uniflow-vae@config-")


def test_published_sizes_are_those_of_diffusers_defaults() -> None:
    with torch.device("meta"):
        theirs = oobleck.AutoencoderOobleck().state_dict()
        ours = OobleckPass(MODELS["stable-audio-vae"].config).state_dict()
    wanted = sorted(tensor.numel() for key, tensor in theirs.items() if "weight_g" not in key)
    assert sorted(tensor.numel() for tensor in ours.values()) == wanted


def test_what_does_not_fit_is_said_in_a_line(
    models: dict[str, Any], files: dict[str, Path], tmp_path: Path
) -> None:
    def refusal(name: str, weights: Path | None) -> str:
        with pytest.raises(EncoderError) as caught:
            load_encoder(name, weights=weights)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "get 1m.pt or" in refusal("ezaudio-vae", None)
    assert "`pretrained_ckpt` of its config.yaml" in refusal("uniflow-vae", None)
    assert "no diffusion_pytorch_model.safetensors" in refusal("stable-audio-vae", tmp_path)
    path = tmp_path / "1m.pt"
    state = as_trained(models["ezaudio-vae"])
    for changed, said in (
        ({"x": torch.ones(1)}, "is no Oobleck autoencoder"),
        ({k: v for k, v in state.items() if not k.endswith("0.weight_g")}, "but not encoder."),
        ({k: v for k, v in state.items() if not k.endswith("alpha")}, "missing encoder."),
        (state | {"autoencoder.encoder.layers.0.extra": torch.ones(1)}, "fit the model"),
    ):
        torch.save({"state_dict": changed}, path)
        assert said in refusal("ezaudio-vae", tmp_path), said
    for text, said in (
        ("a: [", "does not name the autoencoder's file"),
        ("model: {}", "does not name the autoencoder's file"),
        ("model: {autoencoder: {pretrained_ckpt: ../x.pt}}", "outside of its folder"),
    ):
        (tmp_path / "config.yaml").write_text(text)
        assert said in refusal("uniflow-vae", tmp_path)
