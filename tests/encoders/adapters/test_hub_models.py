"""`hf:FOLDER` against transformers' own classes and feature extractors, a clip at a time."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from conforming import breaches
from hub_folders import SMALL, save_hub

from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    Frames,
    encode_each,
    load_encoder,
    load_encoders,
)

CODECS = ("encodec", "dac", "mimi", "xcodec")
# Where the frames of a batch of unequal lengths are computed together, by a mask or in a window.
TOGETHER = {
    "wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "w2v-bert", "whisper", "ast",
    "qwen2-audio", "clap",
}  # fmt: skip
# Name -> frames a second of the output, and of the first layer.
RATES = {
    "wav2vec2": (50, 50), "wav2vec2-group": (50, 50), "wav2vec2-adapter": (6.25, 50),
    "hubert": (50, 50), "wavlm": (50, 50), "unispeech": (50, 50), "unispeech-sat": (50, 50),
    "conformer": (50, 50), "data2vec": (50, 50), "sew": (50, 25), "sew-d": (50, 25),
    "speech-to-text": (25, 25), "seamless": (6.25, 50), "moonshine": (125 / 3, 125 / 3),
    "parakeet": (12.5, 12.5), "w2v-bert": (50, 50), "w2v-bert-adapter": (25, 50),
    "qwen2-audio": (25, 50), "whisper": (50, 50), "ast": (10, 10),
}  # fmt: skip
# As far as transformers' own padding of a last stacked frame reaches.
LOOSE = {"ast": 3e-4, "w2v-bert": 1e-3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Folder of a model by name, saved when it is first asked for."""
    root, made = tmp_path_factory.mktemp("hub"), {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = save_hub(name, root / name)
        return made[name]

    return folder


def clips(rate: int, *seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [0.1 * torch.randn(round(s * rate), generator=generator) + 0.02 for s in seconds]


def encode(encoder: AudioEncoder, audio: list[torch.Tensor]) -> list[torch.Tensor]:
    """Each clip's own frames, of one batch; what lies beyond a clip in it is NaN."""
    return encode_all([encoder], audio)[0]


def encode_all(encoders: list[AudioEncoder], audio: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """The same of several encoders in one pass."""
    lengths = torch.tensor([len(clip) for clip in audio])
    batch = torch.full((len(audio), int(lengths.max()) + 700), float("nan"))
    for row, clip in zip(batch, audio, strict=True):
        row[: len(clip)] = clip
    with torch.inference_mode():
        found: list[Frames] = encode_each(encoders, batch, lengths)
    return [
        [values[:n] for values, n in zip(one.values, one.lengths.tolist(), strict=True)]
        for one in found
    ]


def own_states(name: str, folder: Path, clip: torch.Tensor) -> list[torch.Tensor]:
    """Output, then hidden states of a clip (F, D), by AutoModel and AutoFeatureExtractor alone."""
    extractor: Any = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model: Any = transformers.AutoModel.from_pretrained(folder).eval()
    parts = {
        "whisper": "encoder", "speech-to-text": "encoder", "moonshine": "encoder",
        "seamless": "speech_encoder", "qwen2-audio": "audio_tower",
    }  # fmt: skip
    model = getattr(model, parts[name]) if name in parts else model
    inputs = extractor(clip.numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    if name == "qwen2-audio":
        inputs.pop("attention_mask", None)
    with torch.inference_mode():
        found = model(**inputs, output_hidden_states=True)
    states = [found.last_hidden_state[0], *(state[0] for state in found.hidden_states)]
    if name == "ast":  # two tokens, then band after band of 101 columns each
        states = [state[2:].view(12, 101, -1).mean(0) for state in states]
    if name in ("whisper", "ast", "qwen2-audio"):  # padded to 30 s, or to 10.24 s
        window = 101 / 10 if name == "ast" else 30
        seconds = len(clip) / extractor.sampling_rate
        states = [
            state[: -(-round(seconds * 1e6 * len(state) / window) // 10**6)] for state in states
        ]
    if name.startswith(("w2v-bert", "seamless")):
        mask = inputs["attention_mask"][0].bool()
        states = [state[mask] if len(state) == len(mask) else state for state in states]
    return states


@pytest.mark.parametrize("name", sorted(RATES))
def test_output_and_layers_are_the_models_own_in_any_batch(name: str, folders: Any) -> None:
    folder = folders(name)
    encoders = load_encoders([f"hf:{folder}", f"hf:{folder}:layer-all"])
    first, *layers = encoders
    assert [one.name for one in encoders] == [
        f"hf:{name}", *(f"hf:{name}:layer-{number}" for number in range(len(layers)))
    ]  # fmt: skip
    assert (first.frame_rate, layers[0].frame_rate) == pytest.approx(RATES[name])
    assert {one.honours_lengths for one in encoders} == {name in TOGETHER}
    audio = clips(first.sample_rate, 1.0, 0.73, 1.311)
    together = encode_all(encoders, audio)
    for row, clip in enumerate(audio):
        wanted = own_states(name, folder, clip)
        assert len(wanted) == len(encoders)
        for found, expected, one in zip(together, wanted, encoders, strict=True):
            assert one.embedding_dim == expected.shape[1]
            torch.testing.assert_close(
                found[row], expected, atol=LOOSE.get(name, 2e-5), rtol=LOOSE.get(name, 1e-4)
            )


@pytest.mark.parametrize("name", ["sew", "qwen2-audio"])
def test_long_clips_are_cut_into_pieces(name: str, folders: Any) -> None:
    encoder = load_encoder(f"hf:{folders(name)}")
    (clip,) = clips(16_000, 31.0)
    pieces = [clip[: 30 * 16_000], clip[30 * 16_000 :]]
    wanted = torch.cat([own_states(name, folders(name), piece)[0] for piece in pieces])
    torch.testing.assert_close(encode(encoder, [clip])[0], wanted, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CODECS)
def test_a_codecs_latents_are_its_own_and_decode(name: str, folders: Any) -> None:
    folder = folders(name)
    plain, quantised = load_encoders([f"hf:{folder}", f"hf:{folder}:quantized"])
    extractor: Any = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model: Any = transformers.AutoModel.from_pretrained(folder).eval()
    assert plain.sample_rate == extractor.sampling_rate
    (clip,) = clips(plain.sample_rate, 1.0)
    inputs = extractor(clip.numpy(), sampling_rate=plain.sample_rate, return_tensors="pt")
    with torch.inference_mode():
        audio = model(inputs["input_values"]).audio_values
        decoded, lengths = quantised.decode(  # type: ignore[attr-defined]
            quantised.encode(clip[None], torch.tensor([len(clip)]))
        )
    # all codebooks, as the model itself decodes its own codes; padding to whole hops at the end
    wide = min(int(lengths[0]), audio.shape[-1]) - 3000
    expected = audio.reshape(-1)[:wide]
    if name == "encodec":  # without a bandwidth the model itself takes its first few codebooks
        with torch.inference_mode():
            full = model(inputs["input_values"], bandwidth=model.config.target_bandwidths[-1])
        expected = full.audio_values.reshape(-1)[:wide]
    torch.testing.assert_close(decoded[0, :wide], expected, atol=1e-4, rtol=1e-3)


def test_clap_gives_the_vector_that_is_compared_with_captions(folders: Any) -> None:
    folder = folders("clap")
    encoder = load_encoder(f"hf:{folder}")
    extractor: Any = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model: Any = transformers.AutoModel.from_pretrained(folder).eval()
    assert (encoder.frame_rate, encoder.sample_rate, encoder.embedding_dim) == (None, 48_000, 12)
    audio = clips(48_000, 1.5, 3.0)
    for found, clip in zip(encode(encoder, audio), audio, strict=True):
        inputs = extractor(clip.numpy(), sampling_rate=48_000, return_tensors="pt")
        with torch.inference_mode():
            expected = model.get_audio_features(**inputs).pooler_output
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_the_built_in_encoder_and_hf_give_the_same_numbers(folders: Any) -> None:
    folder = folders("whisper")
    ours = load_encoder("whisper-base", weights=folder)
    (clip,) = clips(16_000, 1.0)
    torch.testing.assert_close(
        encode(load_encoder(f"hf:{folder}"), [clip])[0], encode(ours, [clip])[0], atol=0, rtol=0
    )


@pytest.mark.parametrize("name", ["wav2vec2", "sew", "speech-to-text"])
def test_it_conforms(name: str, folders: Any) -> None:
    (layer,) = load_encoders([f"hf:{folders(name)}"], layer=1)
    assert breaches(layer) == []
    assert breaches(load_encoder(f"hf:{folders(name)}")) == []


def test_controls_and_fingerprints(folders: Any, tmp_path: Path) -> None:
    folder = folders("sew")
    one, again = load_encoder(f"hf:{folder}"), load_encoder(f"hf:{folder}:permuted-2")
    assert again.name == "hf:sew:permuted-2"
    assert one.fingerprint() != again.fingerprint()
    moved = tmp_path / "sew"  # its name is the encoder's
    moved.mkdir()
    for file in folder.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    assert load_encoder(f"hf:{moved}").fingerprint() == one.fingerprint()
    facts = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps(facts | {"do_normalize": False}))
    assert load_encoder(f"hf:{moved}").fingerprint() != one.fingerprint()


def changed(folder: Path, tmp_path: Path, file: str, **facts: Any) -> str:
    """A copy of a model in which some facts of a file differ, as it is asked for."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    old = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(old | facts))
    return f"hf:{tmp_path}"


CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"


@pytest.mark.parametrize(
    ("name", "file", "facts", "said"),
    [
        # as in MTEB's pull request 5404
        ("dac", PREPROCESSOR, {"sampling_rate": 48_000},
         "its config.json says 44100 Hz (sampling_rate), its preprocessor_config.json 48000"),
        ("wav2vec2", CONFIG, {"sample_rate": 24_000}, "says 24000 Hz (sample_rate)"),
        ("whisper", PREPROCESSOR, {"feature_size": 128}, "80 mel bands (num_mel_bins)"),
        ("clap", PREPROCESSOR, {"feature_size": 128}, "64 mel bands (audio_config.num_mel_bins)"),
        ("w2v-bert", PREPROCESSOR, {"num_mel_bins": 64}, "160 values a frame"),
        ("ast", PREPROCESSOR, {"max_length": 512}, "1024 spectrogram frames"),
        ("whisper", PREPROCESSOR, {"chunk_length": 10, "n_samples": 160_000, "nb_max_frames": 1000},
         "1500 places"),
        ("encodec", PREPROCESSOR, {"feature_size": 2}, "1 channels (audio_channels)"),
        ("wav2vec2", PREPROCESSOR, {"sampling_rate": None}, "says no sampling_rate in Hz"),
        ("whisper", PREPROCESSOR, {"dither": 0.1}, "adds noise (dither 0.1)"),
        ("wav2vec2", PREPROCESSOR, {"feature_extractor_type": "SeamlessM4TFeatureExtractor"},
         "its feature extractor is a SeamlessM4TFeatureExtractor, of another kind"),
        ("clap", PREPROCESSOR, {"truncation": "fusion"}, "without feature fusion"),
        ("speech-to-text", CONFIG, {"model_type": "bert"}, "takes no audio"),
        ("wav2vec2", CONFIG, {"model_type": "clip"}, "type 'clip', which takes no audio"),
        ("wav2vec2", CONFIG, {"model_type": "mert_model", "auto_map": {"AutoModel": "x.Y"}},
         "needs code of its own"),
        ("wav2vec2", CONFIG, {"model_type": "wavlmm"}, "did you mean 'wavlm'?"),
        ("wav2vec2", CONFIG, {"hidden_size": 64}, "cannot be loaded from"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_a_line(
    name: str, file: str, facts: dict[str, Any], said: str, folders: Any, tmp_path: Path
) -> None:
    asked = changed(folders(name), tmp_path, file, **facts)
    with pytest.raises(EncoderError) as error:
        load_encoder(asked)
    assert said in str(error.value)
    assert asked in str(error.value)
    assert "\n" not in str(error.value)


def test_a_text_model_and_a_missing_extractor(folders: Any, tmp_path: Path) -> None:
    text = transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=20))
    text.save_pretrained(tmp_path / "text")
    with pytest.raises(EncoderError, match=r"type 'bert', which takes no audio"):
        load_encoder(f"hf:{tmp_path / 'text'}")
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in ("config.json", "model.safetensors"):
        (bare / file).write_bytes((folders("wav2vec2") / file).read_bytes())
    with pytest.raises(EncoderError, match=r"has no preprocessor_config\.json, which says what"):
        load_encoder(f"hf:{bare}")
    (bare / "config.json").unlink()
    with pytest.raises(EncoderError, match=r"holds no model of transformers"):
        load_encoder(f"hf:{bare}")


def test_a_bin_is_read_and_nothing_in_it_is_run(folders: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    asked = changed(folders("hubert"), tmp_path, CONFIG)
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    (clip,) = clips(16_000, 0.5)
    found, safe = (
        encode(load_encoder(one), [clip])[0] for one in (asked, f"hf:{folders('hubert')}")
    )
    torch.testing.assert_close(found, safe, atol=0, rtol=0)

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.write_text, (tmp_path / "run", "x"))

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(EncoderError, match="cannot be loaded from"):
        load_encoder(asked)
    assert not (tmp_path / "run").exists()


def test_ids_and_outputs_that_are_not_there(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    wave, codec = folders("wav2vec2"), folders("encodec")
    for asked, said in (
        ("hf:nobody/nothing", r"cannot fetch nobody/nothing .*there is no folder nobody/nothing"),
        ("hf:a b", r"'a b' is neither a folder here nor an ID of the hub"),
        ("hf:", r"nothing follows the colon; write it as 'hf:"),
        (
            "hf:nobody/nothing:layr-6",
            r"no output 'layr-6'; did you mean 'hf:nobody/nothing:layer-6'",
        ),
        (f"hf:{wave}:layer-9", r"layers 0 to 3, no 9"),
        (
            f"hf:{wave}:quantized",
            r"no output 'quantized'; its outputs: none but its own and layers",
        ),
        (
            f"hf:{codec}:layer-1",
            r"no output 'layer-1'; its outputs: hf:.*:quantized, and no layers",
        ),
        ("huggingface:facebook/x", r"did you mean 'hf:facebook/x'\?"),
        ("facebook/hubert-base-ls960", r"did you mean 'hf:facebook/hubert-base-ls960'\?"),
        (str(wave), rf"did you mean 'hf:{wave}'\?"),
    ):
        with pytest.raises(EncoderError, match=said):
            load_encoder(asked)
    with pytest.raises(EncoderError, match=rf"names its folder itself; ask for hf:{wave}"):
        load_encoder("hf:some/model", weights=wave)
