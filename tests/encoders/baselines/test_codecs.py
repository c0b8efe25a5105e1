"""EnCodec, DAC, Mimi, X-Codec and SNAC against their own encode and decode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import save

from earmark.encoders import Codec, Frames, load_encoders

RATES = {"encodec": 75.0, "dac": 44_100 / 512, "mimi": 12.5, "xcodec": 50.0, "snac": 46.875}
Saved = tuple[Path, Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    made: dict[str, Saved] = {}

    def get(name: str) -> Saved:
        if name not in made:
            folder = tmp_path_factory.mktemp("models") / name
            made[name] = (folder, save(name, folder))
        return made[name]

    return get


def pair(name: str, saved: Callable[[str], Saved]) -> tuple[Codec, Codec]:
    """The continuous and the quantised encoder."""
    before, after = load_encoders([name, f"{name}:quantized"], weights=saved(name)[0])
    assert isinstance(before, Codec)
    assert isinstance(after, Codec)
    return before, after


def noise(codec: Codec, *seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [0.2 * torch.randn(round(s * codec.sample_rate), generator=generator) for s in seconds]


def encode(codec: Codec, *audio: torch.Tensor) -> Frames:
    batch = torch.nn.utils.rnn.pad_sequence(list(audio), batch_first=True)
    with torch.inference_mode():
        return codec.encode(batch, torch.tensor([len(clip) for clip in audio]))


def decode(codec: Codec, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return codec.decode(frames)


def own_way(name: str, model: Any, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The codec's quantised latent (F, D) and audio (T,) of one clip, by its own functions."""
    audio = clip[None, None]
    if name in ("dac", "xcodec"):  # as their feature extractor pads
        hop = model.config.hop_length
        audio = torch.nn.functional.pad(audio, (0, -len(clip) % hop))
    with torch.inference_mode():
        if name == "dac":
            latent = model.encode(audio).quantized_representation
            sound = model(audio).audio_values
        elif name == "snac":
            codes = model.encode(audio)
            latent = model.quantizer.from_codes(codes)
            torch.manual_seed(0)
            sound = model.decode(codes)[0]
        else:
            bandwidths = getattr(model.config, "target_bandwidths", None)
            most = {"bandwidth": bandwidths[-1]} if bandwidths else {}
            codes = model.encode(audio, **most).audio_codes
            of_one = codes[0] if name == "encodec" else codes
            rows = of_one if name == "mimi" else of_one.transpose(0, 1)
            latent = model.quantizer.decode(rows)
            extra = {"audio_scales": [None]} if name == "encodec" else {}
            sound = model.decode(codes, **extra).audio_values[0]
    return latent[0].T, sound[0]


@pytest.mark.parametrize("name", RATES)
def test_quantised_latent_and_decoding_are_the_codecs_own(
    name: str, saved: Callable[[str], Saved]
) -> None:
    before, after = pair(name, saved)
    for clip in noise(before, 0.05, 1.37, 4096 * 3 / before.sample_rate):
        latent, sound = own_way(name, saved(name)[1], clip)
        found = encode(after, clip)
        frames = -(-len(clip) // round(after.sample_rate / after.frame_rate))
        assert found.lengths.tolist() == [frames]
        torch.testing.assert_close(found.values[0], latent[:frames], atol=1e-5, rtol=0)
        if name == "snac" and frames % 4:  # its last frames lean on those that were dropped
            continue
        for codec in (before, after):
            audio, lengths = decode(codec, encode(codec, clip))
            assert lengths.tolist() == [len(sound)]
            torch.testing.assert_close(audio[0], sound, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", RATES)
def test_continuous_latent_is_what_the_quantiser_gets(
    name: str, saved: Callable[[str], Saved]
) -> None:
    before, after = pair(name, saved)
    (clip,) = noise(before, 12_288 / before.sample_rate)
    latent, quantised = encode(before, clip).values, encode(after, clip).values
    assert not torch.allclose(latent, quantised, atol=1e-3)
    shared: Any = before.shared
    with torch.inference_mode():
        again = shared.quantise(latent.transpose(1, 2)).transpose(1, 2)
    # its last block may need frames beyond the clip
    kept = latent.shape[1] // 4 * 4
    torch.testing.assert_close(again[:, :kept], quantised[:, :kept], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", RATES)
def test_a_clip_is_the_same_alone_and_in_any_batch(
    name: str, saved: Callable[[str], Saved]
) -> None:
    before, after = pair(name, saved)
    audio = noise(before, 0.3, 0.05, 0.71, 0.3)
    for codec in (before, after):
        assert not codec.honours_lengths
        together = encode(codec, *audio)
        sounds, samples = decode(codec, together)
        for row, clip in enumerate(audio):
            alone = encode(codec, clip)
            count = int(alone.lengths[0])
            assert int(together.lengths[row]) == count
            values = together.values[row, :count]
            torch.testing.assert_close(values, alone.values[0], atol=1e-5, rtol=0)
            sound, length = decode(codec, alone)
            assert int(samples[row]) == int(length[0])
            torch.testing.assert_close(sounds[row, : int(length[0])], sound[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("seconds", [0.0001, 0.05, 3.37])
def test_frames_are_as_many_as_claimed(
    name: str, seconds: float, saved: Callable[[str], Saved]
) -> None:
    codec, _ = pair(name, saved)
    assert codec.frame_rate == RATES[name]
    (clip,) = noise(codec, seconds)
    frames = encode(codec, clip)
    assert frames.values.shape[2] == codec.embedding_dim
    assert 0 <= int(frames.lengths[0]) - len(clip) / codec.sample_rate * codec.frame_rate <= 1
    audio, lengths = decode(codec, frames)
    assert lengths.tolist() == [audio.shape[1]]
    assert 0 <= audio.shape[1] - len(clip) < codec.sample_rate / codec.frame_rate


@pytest.mark.parametrize("name", ["encodec", "snac"])
def test_long_clip_is_cut_into_pieces(
    name: str, saved: Callable[[str], Saved], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, codec = pair(name, saved)
    shared: Any = codec.shared
    assert 29.5 < shared.piece_frames / codec.frame_rate <= 30
    monkeypatch.setattr("earmark.encoders.baselines.codec.PIECE_SECONDS", 2)
    piece = shared.piece_frames * shared.hop
    assert piece % (shared.block or 1) == 0
    (clip,) = noise(codec, 5.3)
    frames = encode(codec, clip)
    parts = [encode(codec, part) for part in clip.split(piece)]
    assert len(parts) == 3
    whole = torch.cat([part.values[0] for part in parts])
    torch.testing.assert_close(frames.values[0], whole, atol=1e-5, rtol=0)
    audio, lengths = decode(codec, frames)
    sounds = torch.cat([decode(codec, part)[0][0] for part in parts])
    torch.testing.assert_close(audio[0], sounds, atol=1e-4, rtol=0)
    assert int(lengths[0]) == len(sounds)


@pytest.mark.parametrize("name", RATES)
def test_outputs_share_one_pass_and_keep_their_fingerprints(
    name: str, saved: Callable[[str], Saved], tmp_path: Path
) -> None:
    before, after = pair(name, saved)
    shared: Any = before.shared
    assert shared is after.shared
    prints = [codec.fingerprint() for codec in (before, after)]
    assert prints[0] != prints[1]
    passes: list[int] = []
    latents = shared.latents
    shared.latents = lambda audio: passes.append(1) or latents(audio)
    (clip,) = noise(before, 0.3)
    found = shared.encode_outputs(clip[None], torch.tensor([len(clip)]), ("", "quantized"))
    assert len(passes) == 1
    del shared.latents
    for codec in (before, after):
        torch.testing.assert_close(found[codec.output].values, encode(codec, clip).values)
        decode(codec, encode(codec, clip))
    assert [codec.fingerprint() for codec in (before, after)] == prints
    save(name, tmp_path / "elsewhere")
    (again,) = load_encoders([f"{name}:quantized"], weights=tmp_path / "elsewhere")
    assert again.fingerprint() == prints[1]


def test_snac_from_the_file_that_is_published(
    saved: Callable[[str], Saved], tmp_path: Path
) -> None:
    folder, model = saved("snac")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (one,) = load_encoders(["snac"], weights=tmp_path)
    (two,) = load_encoders(["snac"], weights=folder)
    assert one.fingerprint() == two.fingerprint()
