"""Example files: consent, the pinned commit, and the contract, with stand-ins for the models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from earmark.benchmark.conformance.run import validate
from earmark.encoders import AudioEncoder, EncoderError, load_encoder
from earmark.encoders.examples import ALLOW, EXAMPLES, FOLDER, consent

# What stands in for SemantiCodec: two tokens a patch of 16 x 16, from the patch's mean.
SEMANTICODEC = """
import torch
from semanticodec.utils import extract_kaldi_fbank_feature

class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.device = None
        self.centroid_npy = torch.randn(50, 768, generator=torch.Generator().manual_seed(1))
        self.table = torch.nn.Parameter(self.centroid_npy.flip(0))

    def forward(self, mel):
        assert mel.shape[-1] == 128 and mel.shape[-2] % 1024 == 0
        means = mel.unflatten(1, (-1, 16)).unflatten(3, (-1, 16)).mean((2, 4)).flatten(1)
        tokens = (means.sigmoid() * 49).long()
        return torch.stack([tokens, tokens // 2], -1)

    def token_to_quantized_feature(self, tokens):
        first, second = self.centroid_npy[tokens[..., 0]], self.table[tokens[..., 1]]
        return torch.cat([second.reshape(1, tokens.shape[1], 768), first], -1)

class SemantiCodec(torch.nn.Module):
    def __init__(self, token_rate, semantic_vocab_size, cache_path):
        super().__init__()
        assert (token_rate, semantic_vocab_size) == (100, 16384) and "pretrained" in cache_path
        self.encoder = Encoder()
"""
UTILS = """
import torch

def extract_kaldi_fbank_feature(waveform, sampling_rate, target_length=1024):
    rows = waveform.unfold(1, 160, 160)[0, :target_length]
    return {"ta_kaldi_fbank": rows[:, :128] * 8}
"""
# What stands in for XY-Tokenizer: blocks of 1280 samples through a matrix, and back.
XY = """
import torch
import torch.nn as nn

class Part(nn.Module):
    def __init__(self, last=False):
        super().__init__()
        self.last = last

    def forward(self, x, lengths):
        assert x.shape[0] == 1 and lengths.shape == (1,)
        return (x[:, :1280].transpose(1, 2).reshape(1, 1, -1) if self.last else x), lengths

class XY_Tokenizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3072)[:1280])
        self.post_rvq_adapter, self.upsample, self.acoustic_decoder = Part(), Part(), Part()
        self.vocos = Part(last=True)

    @classmethod
    def load_from_checkpoint(cls, config_path, ckpt_path):
        assert config_path.endswith("config/xy_tokenizer_config.yaml")
        assert ckpt_path.endswith("weights/xy_tokenizer.ckpt")
        return cls()

    def inference_tokenize(self, x, lengths):
        assert x.shape == (1, 1, int(lengths[0])) and x.shape[2] <= 480000
        zq = (x[0, 0].unflatten(0, (-1, 1280)) @ self.weight).T[None]
        return {"zq": torch.nn.functional.pad(zq, (0, 3)), "codes": None, "codes_lengths": lengths}
"""


class SpearModel(torch.nn.Module):
    """What stands in for SPEAR: frames of 20 ms, with the interface of its `usage.py`."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(320, 1280) / 18)

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor) -> dict[str, Any]:
        whole = torch.nn.functional.pad(audio, (0, -audio.shape[1] % 320)).unflatten(1, (-1, 320))
        counts = (lengths + 319) // 320
        return {"encoder_out": whole @ self.weight, "encoder_out_lens": counts.int(),
                "hidden_states": []}  # fmt: skip


def clone(folder: Path, files: dict[str, str]) -> str:
    """A git repository with these files; returns its commit."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    said = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(ALLOW, "1")
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in [n for n in sys.modules if n.partition(".")[0] in ("semanticodec", "xy_tokenizer")]:
        del sys.modules[name]


@pytest.fixture
def any_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stand-in pass for the pinned commit; that another is refused has its own test."""
    real = consent.checked_out

    def at_any(name: str, folder: Any, variable: str, code: str, commit: str) -> Path:
        del commit
        head = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True
        )
        return real(name, folder, variable, code, head.stdout.strip())

    monkeypatch.setattr(consent, "checked_out", at_any)


def check(encoder: AudioEncoder) -> None:
    checks = validate(encoder, device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []


def loaded(example: str) -> AudioEncoder:
    return load_encoder(str(FOLDER / example))


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_runs_without_consent(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW, raising=False)
    with pytest.raises(EncoderError) as caught:
        loaded(example)
    line = str(caught.value)
    assert f"set {ALLOW}=1" in line and "at commit" in line and "\n" not in line


@pytest.mark.usefixtures("allowed")
def test_spear(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def given(repository: str, **options: Any) -> SpearModel:
        asked.update(options, repository=repository)
        return SpearModel()

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", given)
    encoder = loaded("spear.py:Spear")
    assert asked["repository"] == "marcoyang/spear-xlarge-speech-audio-v2"
    # weights and code of one commit, in full
    assert asked["revision"] == asked["code_revision"] and len(asked["revision"]) == 40
    check(encoder)


@pytest.mark.usefixtures("allowed")
def test_another_commit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for example, variable in [("semanticodec.py:SemantiCodecTokens", "SEMANTICODEC"),
                              ("xy_tokenizer.py:XYTokenizer", "XY_TOKENIZER")]:  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(EncoderError, match=f"{variable} names no folder; git clone"):
            loaded(example)
        monkeypatch.setenv(variable, str(tmp_path / "none"))
        with pytest.raises(EncoderError, match="none is no clone; git clone"):
            loaded(example)
        folder = tmp_path / variable
        commit = clone(folder, {"a.py": "raise SystemExit('it ran')\n"})
        monkeypatch.setenv(variable, str(folder))
        with pytest.raises(EncoderError, match=f"is at commit {commit[:8]}; git clone"):
            loaded(example)
        assert str(folder) not in sys.path


@pytest.mark.usefixtures("allowed", "any_commit")
def test_semanticodec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone(tmp_path, {"semanticodec/__init__.py": SEMANTICODEC, "semanticodec/utils.py": UTILS})
    from earmark.encoders.examples.semanticodec import SemantiCodecTokens

    monkeypatch.setattr("earmark.encoders.examples.semanticodec.checked_out", consent.checked_out)
    encoder = SemantiCodecTokens(tmp_path).eval()
    check(encoder)
    audio = torch.rand(1, 180_000) - 0.5
    frames = encoder.encode(audio, torch.tensor([180_000]))
    assert frames.values.shape == (1, 71, 1536) and frames.lengths.tolist() == [71]
    # a frame is the mean over a column's 8 bands of both tokens' values, the acoustic first
    mel = audio[0, 2560 : 2 * 2560].unflatten(0, (16, 160))[:, :128] * 8
    tokens = (mel.unflatten(1, (8, 16)).mean((0, 2)).sigmoid() * 49).long()
    semantic = encoder.encoder.centroid_npy[tokens].mean(0)
    acoustic = encoder.encoder.table[tokens // 2].mean(0)
    torch.testing.assert_close(frames.values[0, 1], torch.cat([acoustic, semantic]))


@pytest.mark.usefixtures("allowed", "any_commit")
def test_xy_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone(tmp_path, {"xy_tokenizer/__init__.py": "", "xy_tokenizer/model.py": XY})
    from earmark.encoders.examples.xy_tokenizer import XYTokenizer

    monkeypatch.setattr("earmark.encoders.examples.xy_tokenizer.checked_out", consent.checked_out)
    codec = XYTokenizer(tmp_path).eval()
    check(codec)
    audio = torch.rand(2, 500_000) - 0.5
    frames = codec.encode(audio, torch.tensor([500_000, 3_000]))
    assert frames.lengths.tolist() == [391, 3]
    heard, lengths = codec.decode(frames)
    assert lengths.tolist() == [391 * 1280, 3 * 1280]
    torch.testing.assert_close(heard[0, :500_000], audio[0])
    torch.testing.assert_close(heard[1, :3_000], audio[1, :3_000])
