"""VibeVoice, Pocket TTS, WavTokenizer, X-Codec 2 and NeuCodec against their code in transformers.

Clip by clip, by their own feature extraction, encode and decode.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from conforming import breaches
from safetensors.torch import load_file, save_file

from earmark.encoders import Codec, EncoderError, Frames, load_encoder, load_encoders
from earmark.encoders.bitrate import bits_per_second

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "vibevoice": ("VibeVoiceAcousticTokenizer", {
        "hidden_size": 6, "num_filters": 4, "downsampling_ratios": [4, 5, 5],
        "depths": [1, 1, 1, 2], "layer_scale_init_value": 0.3,
    }),
    "pocket-tts": ("PocketTTSAudioTokenizer", {
        "hidden_size": 16, "num_filters": 2, "upsampling_ratios": [6, 5, 4], "latent_stride": 8,
        "latent_dim": 5, "upsample_groups": 16, "intermediate_size": 24, "num_attention_heads": 2,
        "num_key_value_heads": 2, "sliding_window": 12,
    }),
    "wavtokenizer": ("WavTokenizer", {
        "hidden_size": 12, "codebook_dim": 12, "codebook_size": 32, "num_filters": 2,
        "upsampling_ratios": [5, 4, 2], "decoder_hidden_size": 16, "decoder_num_layers": 2,
        "decoder_intermediate_size": 20, "decoder_attention_num_groups": 4,
    }),
}  # fmt: skip
SEMANTIC = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_depthwise_kernel_size": 3,
}  # fmt: skip
JOINED = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
    "head_dim": 16, "intermediate_size": 24, "encoder_hidden_size": 2,
    "downsampling_ratios": [20, 16], "quantization_dim": 44,
}  # fmt: skip
NAMES = ("vibevoice", "pocket-tts", "wavtokenizer", "xcodec2", "neucodec")
RATES = {"vibevoice": 240.0, "pocket-tts": 25.0, "wavtokenizer": 600.0, "xcodec2": 50.0,
         "neucodec": 50.0}  # fmt: skip
QUANTISED = ("wavtokenizer", "xcodec2", "neucodec")
Saved = tuple[Path, Any, Any]


def build(name: str) -> tuple[Any, Any]:
    """A small model with random weights, and its feature extraction."""
    t = transformers
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if name in KINDS:
            kind, sizes = KINDS[name]
            config = getattr(t, f"{kind}Config")(**sizes)
            model = getattr(t, f"{kind}Model")(config)
        else:
            kind = "Xcodec2" if name == "xcodec2" else "NeuCodec"
            semantic = t.Wav2Vec2BertConfig(**SEMANTIC)
            config = getattr(t, f"{kind}Config")(semantic_model_config=semantic, **JOINED)
            model = getattr(t, f"{kind}Model")(config)
        for key, tensor in model.named_parameters():
            if "project_in" in key:  # else all clips have one code
                tensor.data *= 100
            elif "head.linear" in key:  # else all phases are 0, and what is decoded is silent
                tensor.data += torch.randn(tensor.shape)
            elif tensor.ndim > 1 and "acoustic_encoder" not in key:
                tensor.data += 0.05 * torch.randn(tensor.shape)
        if name == "wavtokenizer":  # vectors that occur; all 0 they would be one code
            with torch.no_grad():
                vectors = model.eval().encoder_model.encoder(torch.randn(1, 1, 32 * 40))[0].T
            model.encoder_model.quantizer.codebook.embed.copy_(vectors)
    if name == "pocket-tts":
        return model.eval(), t.EncodecFeatureExtractor()
    hop = {"pad_to_multiple_of": 100} if name == "vibevoice" else {}
    return model.eval(), getattr(t, f"{kind}FeatureExtractor")(**hop)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    made: dict[str, Saved] = {}

    def get(name: str) -> Saved:
        if name not in made:
            folder = tmp_path_factory.mktemp("models") / name
            model, extractor = build(name)
            model.save_pretrained(folder)
            extractor.save_pretrained(folder)
            made[name] = (folder, model, extractor)
        return made[name]

    return get


def load(name: str, saved: Callable[[str], Saved]) -> list[Codec]:
    names = [name, f"{name}:quantized"] if name in QUANTISED else [name]
    made = load_encoders(names, weights=saved(name)[0])
    assert all(isinstance(one, Codec) for one in made)
    return made  # type: ignore[return-value]


def noise(codec: Codec, *lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [0.2 * torch.randn(n, generator=generator) for n in lengths]


def encode(codec: Codec, *audio: torch.Tensor) -> Frames:
    lengths = torch.tensor([len(clip) for clip in audio])
    batch = torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True)
    with torch.inference_mode():
        return codec.encode(batch, lengths)


def decode(codec: Codec, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return codec.decode(frames)


def own_latent(name: str, model: Any, extractor: Any, clip: torch.Tensor) -> torch.Tensor:
    """What the codec itself makes of a clip: the latent from which it decodes, (F, D)."""
    inputs = dict(extractor(clip.numpy(), sampling_rate=extractor.sampling_rate,
                            return_tensors="pt"))  # fmt: skip
    with torch.inference_mode():
        if name == "vibevoice":
            return model.encode(inputs["input_values"], sample=False).latents[0]
        if name == "pocket-tts":
            return model.encode(inputs["input_values"]).latents[0]
        if name == "wavtokenizer":
            codes = model.encode(inputs["input_values"]).audio_codes
            return model.encoder_model.quantizer.decode(codes[:, 0])[0].T
        return model.encode(**inputs, output_latents=True).latents[0].T


def own_sound(name: str, model: Any, latent: torch.Tensor) -> torch.Tensor:
    """What the codec itself decodes of a latent (F, D): (T,)."""
    with torch.inference_mode():
        if name == "vibevoice":
            return model.decode(latent[None]).audio[0, 0]
        if name == "pocket-tts":
            return model.decode(latent[None]).audio_values[0, 0]
        if name == "wavtokenizer":  # by its codes, whose vectors these are
            table = model.encoder_model.quantizer.codebook.embed
            codes = torch.cdist(latent, table).argmin(dim=1)[None, None]
            return model.decode(codes).audio_values[0, 0]
        return model.decode(latents=latent.T[None]).audio_values[0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_latent_and_decoding_are_the_codecs_own_in_any_batch(
    name: str, saved: Callable[[str], Saved]
) -> None:
    *_, codec = load(name, saved)  # the quantised one where there is one
    hop = round(codec.sample_rate / codec.frame_rate)
    assert codec.frame_rate == RATES[name]
    clips = noise(codec, 7 * hop + 3, 12 * hop, 7 * hop + 3)
    clips[2] *= 0.01
    together = encode(codec, *clips)
    sounds, samples = decode(codec, together)
    for row, clip in enumerate(clips):
        latent = own_latent(name, saved(name)[1], saved(name)[2], clip)
        frames = len(clip) // hop if name == "neucodec" else -(-len(clip) // hop)
        assert int(together.lengths[row]) == frames
        found = together.values[row, :frames]
        torch.testing.assert_close(found, latent[:frames], atol=1e-4, rtol=1e-3)
        sound = own_sound(name, saved(name)[1], latent[:frames])
        assert int(samples[row]) == len(sound)
        torch.testing.assert_close(sounds[row, : len(sound)], sound, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", QUANTISED)
def test_latent_before_the_quantiser_decodes_by_way_of_it(
    name: str, saved: Callable[[str], Saved]
) -> None:
    before, after = load(name, saved)
    assert before.shared is after.shared  # type: ignore[attr-defined]
    (clip,) = noise(before, 6000)
    latent, quantised = encode(before, clip), encode(after, clip)
    assert not torch.allclose(latent.values, quantised.values, atol=1e-3)
    sounds = [decode(one, frames)[0] for one, frames in ((before, latent), (after, quantised))]
    torch.testing.assert_close(*sounds, atol=1e-4, rtol=1e-3)
    assert before.fingerprint() != after.fingerprint()
    # 32 vectors 600 times a second; 8 scalars of 4 levels 50 times
    wanted = 5 * 600 if name == "wavtokenizer" else 16 * 50
    assert (bits_per_second(before), bits_per_second(after)) == (None, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_they_keep_their_contract(name: str, saved: Callable[[str], Saved]) -> None:
    codec = load(name, saved)[-1]  # the quantised one where there is one
    before = codec.fingerprint()
    assert breaches(codec) == []
    assert codec.fingerprint() == before
    assert codec.decoded_rate == (24_000 if name == "neucodec" else None)


def test_vibevoice_adds_no_noise_and_has_one_level(saved: Callable[[str], Saved]) -> None:
    (codec,) = load("vibevoice", saved)
    (clip,) = noise(codec, 2400)
    found = [encode(codec, scale * clip).values for scale in (1.0, 1.0, 0.1)]
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[2], found[0], atol=1e-3, rtol=1e-3)


def test_vibevoice_out_of_the_whole_model(saved: Callable[[str], Saved], tmp_path: Path) -> None:
    """Of its pieces those are opened that hold the tokenizer."""
    folder, _, extractor = saved("vibevoice")
    own = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "vibevoice", "audio_config": own})
    )
    extractor.save_pretrained(tmp_path)
    state = load_file(folder / "model.safetensors")
    tower = {f"model.audio_tower.{key}": tensor for key, tensor in state.items()}
    save_file(tower, tmp_path / "one.safetensors")
    places = dict.fromkeys(tower, "one.safetensors") | {"lm_head.weight": "not-there.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    whole = load_encoder("vibevoice", weights=tmp_path)
    assert whole.fingerprint() == load("vibevoice", saved)[0].fingerprint()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vibevoice"}))
    with pytest.raises(EncoderError, match="has no audio_config"):
        load_encoder("vibevoice", weights=tmp_path)


def test_wavtokenizer_scales_to_a_peak_where_its_settings_say_so(
    saved: Callable[[str], Saved], tmp_path: Path
) -> None:
    _, model, _ = saved("wavtokenizer")
    extractor = transformers.WavTokenizerFeatureExtractor(normalize_audio=True)
    model.save_pretrained(tmp_path)
    extractor.save_pretrained(tmp_path)
    codec = load_encoder("wavtokenizer:quantized", weights=tmp_path)
    assert isinstance(codec, Codec)
    (clip,) = noise(codec, 1234)
    latent = own_latent("wavtokenizer", model, extractor, clip)
    torch.testing.assert_close(encode(codec, clip).values[0], latent, atol=1e-5, rtol=0)
    assert codec.fingerprint() != load("wavtokenizer", saved)[1].fingerprint()
