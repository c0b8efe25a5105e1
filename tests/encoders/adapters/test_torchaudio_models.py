"""`torchaudio:NAME` against torchaudio's own bundles and factories."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torchaudio
from conforming import breaches

from earmark.encoders import EncoderError, encode_each, load_encoder, load_encoders

RATE = 16_000
SIZES: dict[str, Any] = {
    "encoder_embed_dim": 32, "encoder_pos_conv_kernel": 16, "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 3, "encoder_num_heads": 4, "encoder_ff_interm_features": 48,
}  # fmt: skip


class Tiny:
    """A bundle of torchaudio, of small sizes, and its model as torchaudio itself makes it."""

    def __init__(self, like: str) -> None:
        bundle = getattr(torchaudio.pipelines, like)
        layers = [(16, kernel, stride) for _, kernel, stride in
                  bundle._params["extractor_conv_layer_config"]]  # fmt: skip
        sizes = bundle._params | SIZES | {"extractor_conv_layer_config": layers}
        self.bundle = dataclasses.replace(bundle, _params=sizes, _path="folder/tiny.pth")
        wavlm = bundle._model_type == "WavLM"
        make = torchaudio.models.wavlm_model if wavlm else torchaudio.models.wav2vec2_model
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.model = make(**sizes).eval()

    def own(self, clip: torch.Tensor) -> list[torch.Tensor]:
        """Output, then hidden layers, of one clip, as `get_model()` of the bundle gives them."""
        batch = clip[None]
        if self.bundle._normalize_waveform:
            batch = torch.nn.functional.layer_norm(batch, batch.shape)
        with torch.inference_mode():
            layers, _ = self.model.extract_features(batch)
            self.model.aux = None
            output, _ = self.model(batch)
        return [output[0], *(layer[0] for layer in layers)]


@pytest.fixture(params=["WAV2VEC2_BASE", "HUBERT_LARGE", "WAVLM_LARGE", "WAV2VEC2_ASR_BASE_960H"])
def tiny(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    made = Tiny(request.param)
    monkeypatch.setattr(torchaudio.pipelines, "TINY", made.bundle, raising=False)
    return made


def test_output_and_layers_are_torchaudios_own(tiny: Tiny, tmp_path: Path) -> None:
    state = tiny.model.state_dict()
    # names of the weight norm as the published files have them
    old = {
        key.replace("parametrizations.weight.original0", "weight_g")
        .replace("parametrizations.weight.original1", "weight_v"): value
        for key, value in state.items()
    }  # fmt: skip
    torch.save(old, tmp_path / "tiny.pth")
    encoders = load_encoders(["torchaudio:TINY", "torchaudio:TINY:layer-all"], weights=tmp_path)
    assert [one.name for one in encoders] == [
        "torchaudio:TINY", *(f"torchaudio:TINY:layer-{number}" for number in (1, 2, 3))
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(6)
    audio = [0.1 * torch.randn(n, generator=generator) + 0.05 for n in (16_000, 9_000)]
    batch = torch.nn.utils.rnn.pad_sequence(audio, batch_first=True)
    lengths = torch.tensor([len(clip) for clip in audio])
    with torch.inference_mode():
        together = encode_each(encoders, batch, lengths)
    for row, clip in enumerate(audio):
        for encoder, frames, expected in zip(encoders, together, tiny.own(clip), strict=True):
            assert (encoder.frame_rate, encoder.embedding_dim) == (50, 32)
            found = frames.values[row, : int(frames.lengths[row])]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_long_clips_are_cut_on_the_grid_of_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = Tiny("WAV2VEC2_BASE")
    monkeypatch.setattr(torchaudio.pipelines, "TINY", tiny.bundle, raising=False)
    torch.save(tiny.model.state_dict(), file := tmp_path / "tiny.pth")
    clip = 0.1 * torch.randn(31 * RATE, generator=torch.Generator().manual_seed(6))
    encoder = load_encoder("torchaudio:TINY", weights=file)
    with torch.inference_mode():
        found = encoder.encode(clip[None], torch.tensor([len(clip)])).values[0]
    # 30 s are 1500 frames; a frame sees 400 samples, of which 80 are the next one's alone
    first, rest = tiny.own(clip[: 30 * RATE + 80])[0], tiny.own(clip[30 * RATE :])[0]
    assert len(first) == 1500
    torch.testing.assert_close(found, torch.cat([first, rest]), atol=1e-5, rtol=1e-4)


def test_it_conforms_and_has_controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Tiny("HUBERT_LARGE")
    monkeypatch.setattr(torchaudio.pipelines, "TINY", tiny.bundle, raising=False)
    # as a trained model is often kept: beside other things, with a prefix
    state = {f"model.{key}": value for key, value in tiny.model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, file := tmp_path / "mine.ckpt")
    encoder = load_encoder("torchaudio:TINY", weights=file)
    assert breaches(encoder) == []
    control = load_encoder("torchaudio:pipelines.TINY:layer-2:permuted", weights=file)
    assert control.name.endswith(":layer-2:permuted")
    assert control.fingerprint() != encoder.fingerprint()
    assert load_encoder("torchaudio:TINY", weights=file).fingerprint() == encoder.fingerprint()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchaudio:HUBERT_BASE", r"get hubert_fairseq_base_ls960\.pth .* by --weights FILE"),
        ("torchaudio:hubert_base", r"get state_dict\.pt .* by --weights FILE"),
        ("torchaudio:HUBERT_BAS", r"did you mean 'torchaudio:HUBERT_BASE'\?"),
        ("torchaudio:HUBERT_BASE:layr-1", r"did you mean 'torchaudio:HUBERT_BASE:layer-6'\?"),
        ("torchaudio:CONVTASNET_BASE_LIBRI2MIX", r"gives no hidden layers of speech"),
        ("torchaudio:", r"write it as 'torchaudio:HUBERT_BASE'"),
        ("WAVLM_LARGE", r"did you mean 'torchaudio:WAVLM_LARGE'\?"),
        ("torchaudoi:WAVLM_LARGE", r"did you mean 'torchaudio:WAVLM_LARGE'\?"),
    ],
)
def test_what_cannot_be_had_is_said_in_a_line(name: str, said: str) -> None:
    with pytest.raises(EncoderError, match=said) as error:
        load_encoder(name)
    assert "\n" not in str(error.value)


def test_weights_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.zeros(2)}, file := tmp_path / "other.pt")
    with pytest.raises(EncoderError, match=r"other\.pt does not fit the model: missing"):
        load_encoder("torchaudio:wav2vec2_base", weights=file)
    tiny = Tiny("WAV2VEC2_BASE")
    torch.save(tiny.model.state_dict(), file)
    monkeypatch.setattr(torchaudio.pipelines, "TINY", tiny.bundle, raising=False)
    with pytest.raises(EncoderError, match=r"layers 1 to 3, no 0"):
        load_encoders(["torchaudio:TINY"], layer=0, weights=file)
