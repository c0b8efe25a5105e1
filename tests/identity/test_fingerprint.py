"""Another model under the same code and weights, wherever it is kept, is another encoder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faulty_encoders import Honest

from earmark import evaluate, reconstruct, validate
from earmark.benchmark.conformance.run import BREACH, OK
from earmark.benchmark.identity.behaviour import SIGNALS, Behaviour, apart, behaviours, tolerance
from earmark.encoders import AudioEncoder, Codec, Frames, load_encoder

FILE = """\
import os
import torch
from earmark import AudioEncoder, Codec, Frames


def model(weight):
    made = torch.nn.Conv1d(1, 4, 160, 160)
    torch.nn.init.constant_(made.weight, weight)
    made.weight.data[1::2, :, ::2] = -1
    torch.nn.init.constant_(made.bias, 0.01)
    return made


class Box:
    def __init__(self, inner):
        self.inner = inner


def closed_over():
    made = model(WEIGHT)
    return lambda x: made(x)


def WEIGHT_FILE():
    return float(open(os.path.join(os.path.dirname(__file__), "weight.txt")).read())


{top}


class Mine(Codec):
    name, sample_rate, embedding_dim, frame_rate = "mine", 16_000, 4, 100.0

    def __init__(self):
        super().__init__()
        {init}

    def encode(self, waveforms, lengths):
        {encode}
        frames = (lengths // 160).clamp(min=1)
        wanted = int(frames.max()) * 160
        audio = torch.nn.functional.pad(waveforms, (0, max(0, wanted - waveforms.shape[1])))
        return Frames(model_here(audio[:, None, :wanted]).transpose(1, 2), frames)

    def decode(self, frames):
        {decode}
        return frames.values[:, :, 0].repeat_interleave(160, 1) * gain, frames.lengths * 160
"""
# What decides the output, as {weight} (a variable of the environment or a file beside) says.
PLACES: dict[str, dict[str, str]] = {
    "global": {
        "top": "WEIGHT = float(os.environ['MINE'])\nMODEL = model(WEIGHT)",
        "encode": "model_here = MODEL",
    },
    "list": {
        "init": "self.models = [model(float(os.environ['MINE']))]",
        "encode": "model_here = self.models[0]",
    },
    "wrapper": {
        "init": "self.box = Box(model(float(os.environ['MINE'])))",
        "encode": "model_here = self.box.inner",
    },
    "closure": {
        "top": "WEIGHT = float(os.environ['MINE'])\nrun = closed_over()",
        "encode": "model_here = run",
    },
    "environment, while encoding": {
        "encode": "model_here = model(float(os.environ['MINE']))",
    },
    "file at import": {
        "top": "WEIGHT = WEIGHT_FILE()\nMODEL = [model(WEIGHT)]",
        "encode": "model_here = MODEL[0]",
    },
    "layers made at the first encode": {
        "init": "self.layer = None",
        "encode": "self.layer = model_here = self.layer or model(WEIGHT_FILE())",
    },
}


@pytest.fixture
def checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, float], AudioEncoder]:
    """load(place, weight) -> the encoder with these weights, as in a process of its own."""

    def load(place: str, weight: float) -> AudioEncoder:
        path = tmp_path / "enc.py"
        code = {"top": "", "init": "pass", "encode": "", "decode": "gain = 1"} | PLACES[place]
        path.write_text(FILE.format(**code))
        (tmp_path / "weight.txt").write_text(str(weight))
        monkeypatch.setenv("MINE", str(weight))
        for name in [name for name in sys.modules if name.startswith("earmark_plugin_enc")]:
            del sys.modules[name]
        return load_encoder(f"{path}:Mine")

    return load


@pytest.fixture
def score(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> Callable[..., Any]:
    task, data = toy({"train": 8, "valid": 4, "test": 6})

    def run(encoder: AudioEncoder, cache: str = "c", results: str = "r") -> Any:
        options = {"data": data, "results": tmp_path / results, "cache": tmp_path / cache}
        (result,) = evaluate(encoder, str(task), seeds=1, device="cpu", **options)
        assert result.status == "done", result.error
        return result

    return run


@pytest.mark.parametrize("place", PLACES)
def test_another_checkpoint_never_gets_the_first_ones_scores(
    place: str,
    checkpoint: Callable[..., AudioEncoder],
    score: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = score(checkpoint(place, 0.5))
    capsys.readouterr()
    second = score(checkpoint(place, 1.5))
    said = capsys.readouterr().err
    again = score(checkpoint(place, 0.5))
    # what it is without anything that was stored
    alone = score(checkpoint(place, 1.5), cache="other", results="other")
    prints = [one.encoder.fingerprint for one in (first, second, again)]
    assert prints[0] == prints[2] != prints[1]
    if place != "layers made at the first encode":  # by then its fingerprint covers them
        lines = [line for line in said.splitlines() if prints[1][:8] in line]
        assert len(lines) == 1 and "something else decides it too" in lines[0]
    assert {p: s.value for p, s in second.scores.items()} == {
        p: s.value for p, s in alone.scores.items()
    }
    # found again: the second run of each is as before
    assert again.run.started == first.run.started and again.inputs == first.inputs
    assert score(checkpoint(place, 1.5)).inputs == second.inputs


def test_with_the_cache_emptied_results_still_tell(
    checkpoint: Callable[..., AudioEncoder], score: Callable[..., Any]
) -> None:
    first = score(checkpoint("global", 0.5))
    second = score(checkpoint("global", 1.5), cache="other")
    assert first.encoder.fingerprint != second.encoder.fingerprint
    back = score(checkpoint("global", 1.5), cache="third")
    assert back.encoder.fingerprint == second.encoder.fingerprint
    assert score(checkpoint("global", 0.5), cache="fourth").inputs == first.inputs


def test_a_decoder_that_no_hash_sees(
    checkpoint: Callable[..., AudioEncoder],
    toy: Callable[..., tuple[Path, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, data = toy({"train": 2, "valid": 2, "test": 2})
    decode = {"decode": "gain = float(os.environ['GAIN'])", "encode": "model_here = model(0.5)"}
    monkeypatch.setitem(PLACES, "decoder", decode)
    prints, values = [], []
    for gain in ("1", "4", "1"):
        monkeypatch.setenv("GAIN", gain)
        codec = checkpoint("decoder", 0.5)
        assert isinstance(codec, Codec)
        (result,) = reconstruct(
            codec, data / "toy", workers=1, device="cpu", results=tmp_path / "r",
            cache=tmp_path / "c",
        )  # fmt: skip
        assert result.status == "done", result.error
        prints.append(result.codec.fingerprint)
        values.append(repr(result.scores))
    assert prints[0] == prints[2] != prints[1]
    assert values[0] == values[2] != values[1]


def test_a_sound_encoder_keeps_its_fingerprint(score: Callable[..., Any]) -> None:
    for encoder in (load_encoder("logmel"), Honest()):
        expected = encoder.fingerprint()
        assert score(encoder).encoder.fingerprint == expected


def test_one_without_weights_is_told(
    score: Callable[..., Any],
    checkpoint: Callable[..., AudioEncoder],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for encoder, told in (
        (checkpoint("list", 1.0), 1), (load_encoder("mfcc"), 0), (Honest(), 0),
    ):  # fmt: skip
        score(encoder)
        said = [line for line in capsys.readouterr().err.splitlines() if "no parameter" in line]
        assert len(said) == told


def test_a_damaged_note_is_made_anew(
    checkpoint: Callable[..., AudioEncoder],
    score: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = score(checkpoint("list", 0.5))
    (note,) = (tmp_path / "c" / "behaviour").rglob("*.json")
    note.write_bytes(note.read_bytes().replace(b"1", b"2"))
    # told from the result, which says the same
    assert score(checkpoint("list", 1.5)).encoder.fingerprint != first.encoder.fingerprint
    assert f"{note}: damaged; made anew" in capsys.readouterr().err


class Rough(Honest):
    """The same, computed otherwise: order, number type, noise."""

    def __init__(self, dtype: torch.dtype = torch.float32, noise: float = 0.0) -> None:
        super().__init__()
        self.dtype, self.noise = dtype, noise

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            made = super().encode(waveforms, lengths)
        return Frames(made.values.float() * (1 + self.noise), made.lengths)


def does(encoder: AudioEncoder, **where: str) -> Behaviour:
    found = behaviours([encoder.eval()], "cpu")[encoder]
    return found._replace(where=found.where | where)


def test_rounding_is_no_other_behaviour_and_a_checkpoint_is() -> None:
    here = does(Rough())
    assert set(here.sketches) == set(SIGNALS) and here.coarseness == 0
    assert apart(here, does(Rough())) == 0.0
    half, brain = does(Rough(torch.float16)), does(Rough(torch.bfloat16))
    assert (half.coarseness, brain.coarseness) == (1, 2)
    for other in (half, brain):
        assert 0 < apart(here, other) <= tolerance(here, other)
    elsewhere = does(Rough(noise=5e-4), device="another")
    assert tolerance(here, elsewhere) >= apart(here, elsewhere) > tolerance(here, here)
    tuned = Rough()
    with torch.no_grad():
        tuned.layer.weight += 0.02 * torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    for other in (does(tuned), does(tuned, device="another")):
        assert apart(here, other) > tolerance(here, other)


def test_a_sketch_measures_what_it_should() -> None:
    """Of random differences the sketch sees their size: by hand from the frames themselves."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((60, 32))

    class Fixed(Honest):
        embedding_dim = 32

        def __init__(self, off: float) -> None:
            super().__init__()
            self.off = torch.from_numpy(values + off * rng.standard_normal((60, 32))).float()

        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            frames = (lengths // 160).clamp(min=1)
            return Frames(self.off[None, : int(frames.max())], frames.clamp(max=60))

    base = does(Fixed(0.0))
    for off in (0.3, 0.01):
        assert 0.3 * off < apart(base, does(Fixed(off))) < 3 * off


@pytest.mark.parametrize("rate", [100, 8000, 48_000])
def test_signals_are_audio_of_different_lengths(rate: int) -> None:
    clips = [signal(rate) for signal in SIGNALS.values()]
    assert len({len(clip) for clip in clips}) == 3
    for clip in clips:
        assert clip.dtype == np.float32 and 0.01 < np.abs(clip).max() <= 1


def test_what_a_result_keeps_is_small(score: Callable[..., Any], tmp_path: Path) -> None:
    result = score(Honest())
    (path,) = (tmp_path / "r").rglob("toy*.json")
    kept = json.loads(path.read_text())["run"]["behaviour"]
    assert kept["of"] == result.encoder.fingerprint
    assert len(json.dumps(kept)) < 2500


def test_a_command_is_recorded_only_where_it_makes_the_cell_again(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path, checkpoint: Callable[..., AudioEncoder],
    score: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from earmark.encoders import catalogue

    one, other = Honest(), Honest()
    with torch.no_grad():
        other.layer.weight *= 2
    results = [score(one), score(other)]
    assert [result.command for result in results] == [
        f"no command: honest was a Python object, fingerprint {encoder.fingerprint()}"
        for encoder in (one, other)
    ]
    task = str(tmp_path / "toy.yaml")
    places = {"data": tmp_path / "data", "results": tmp_path / "r", "cache": tmp_path / "c"}

    def by_name(name: str) -> Any:
        (result,) = evaluate(name, task, seeds=1, device="cpu", **places)
        assert result.status == "done", result.error
        return result

    assert score(load_encoder("logmel")).command.startswith("no command: logmel was a Python")
    # of a cell that is there already too, once it is known
    assert by_name("logmel").command.startswith("python run_bench.py --encoder logmel ")
    assert score(load_encoder("logmel")).command.startswith("python run_bench.py --encoder logmel")
    monkeypatch.setattr(catalogue, "REGISTERED", {"mine-here": Rough})
    assert by_name("mine-here").command == (
        f"no command: honest was registered by a program, fingerprint {Rough().fingerprint()}"
    )
    # of a file by its name, the second that it stood for
    checkpoint("global", 0.5)
    spec = f"{tmp_path / 'enc.py'}:Mine"
    assert by_name(spec).command.startswith(f"python run_bench.py --encoder {spec} ")
    checkpoint("global", 1.5)
    second = by_name(spec)
    assert second.command.startswith(f"no command alone: what {spec} gives depends on more")
    assert second.encoder.fingerprint in second.command


def test_no_command_of_a_codec_that_was_handed_over(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    _, data = toy({"train": 2, "valid": 2, "test": 2})
    options = {"workers": 1, "device": "cpu", "results": tmp_path / "r", "cache": tmp_path / "c"}
    identity = load_encoder("identity")
    assert isinstance(identity, Codec)
    (handed,) = reconstruct(identity, data / "toy", **options)
    assert handed.command == (
        f"no command: identity was a Python object, fingerprint {identity.fingerprint()}"
    )
    (named,) = reconstruct("identity", data / "toy", **options)
    assert named.command.startswith("python run_bench.py reconstruct --encoder identity ")


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("global", "not: MODEL"), ("list", "not: self.models[0]"),
        ("wrapper", "not: self.box.inner"), ("closure", "not: made in run"),
        ("file at import", "not: MODEL[0]"),
    ],
)  # fmt: skip
def test_validate_finds_weights_that_no_hash_sees(
    place: str, found: str, checkpoint: Callable[..., AudioEncoder]
) -> None:
    checks = {c.what: c for c in validate(checkpoint(place, 0.5), quick=True, device="cpu")}
    assert (checks["weights"].verdict, checks["weights"].measured) == (BREACH, found)
    assert "attributes" in checks["weights"].why


def test_validate_tells_of_one_without_weights(checkpoint: Callable[..., AudioEncoder]) -> None:
    def weights(encoder: AudioEncoder) -> Any:
        return {c.what: c for c in validate(encoder, quick=True, device="cpu")}["weights"]

    bare = weights(checkpoint("environment, while encoding", 0.5))
    assert (bare.verdict, bare.measured) == (OK, "no parameter or buffer") and bare.why
    for sound in (Honest(), load_encoder("logmel"), load_encoder("mfcc")):
        found = weights(sound)
        assert (found.verdict, found.measured, found.why) == (OK, "covered", "")
