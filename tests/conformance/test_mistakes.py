"""The mistakes that are made in an encoder: what `validate` and a run say of each, and the cure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from faulty_encoders import HOP, Faulty, Honest

from earmark import evaluate, validate
from earmark.benchmark.cli.main import main
from earmark.benchmark.conformance.run import BREACH, Check
from earmark.encoders import AudioEncoder, Codec, Frames, load_encoder

OUTPUT = "0.5 s of noise"  # the row that sees first what comes back


class Mistake(NamedTuple):
    """make: of what Honest returns. claims: attributes. row, said, cure: of the table's breach.

    in_run: how the failure of a run ends; empty where it goes on.
    """

    make: Callable[..., Any]
    row: str
    said: str
    cure: str
    in_run: str = ""
    claims: Mapping[str, Any] = MappingProxyType({})


class Returning(Honest):
    """Whatever is made of the frames; nothing is wrapped."""

    name = "returning"

    def __init__(self, make: Callable[..., Any], claims: Mapping[str, Any]) -> None:
        super().__init__()
        self.make = make
        for claim, value in claims.items():
            setattr(self, claim, value)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        found = self.make(made.values, made.lengths)
        return Frames(*found) if type(found) is list else found


class HiddenState(NamedTuple):
    """What transformers' models return."""

    last_hidden_state: torch.Tensor


def with_graph(values: torch.Tensor, lengths: torch.Tensor) -> list[Any]:
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.ones(8, requires_grad=True)
        return [values.clone() * weight, lengths.clone()]


ONE_CLIP = "values of shape (50, 8) for 1 clip"
MISTAKES: dict[str, Mistake] = {
    "a tuple": Mistake(
        lambda v, n: (v, n), OUTPUT, "a tuple, not Frames",
        "return Frames(values, lengths): `from earmark import Frames`",
        "returned a tuple, not Frames from encode(); return Frames(values, lengths)",
    ),
    "a tensor": Mistake(
        lambda v, n: v, OUTPUT, "a Tensor, not Frames",
        "return Frames(values, lengths), lengths each clip's own number of frames",
        "returned a Tensor, not Frames",
    ),
    "a numpy array": Mistake(
        lambda v, n: v.numpy(), OUTPUT, "a ndarray, not Frames",
        "return Frames(values, lengths), lengths each clip's own number of frames",
        "returned a ndarray, not Frames",
    ),
    "a model's output": Mistake(
        lambda v, n: HiddenState(v), OUTPUT, "a HiddenState, not Frames",
        "return Frames(output.last_hidden_state, lengths), lengths counted in frames",
        "return Frames(output.last_hidden_state",
    ),
    "nothing": Mistake(
        lambda v, n: None, OUTPUT, "None, not Frames",
        "return Frames(values, lengths) at the end of encode()", "returned None, not Frames",
    ),
    "numpy values": Mistake(
        lambda v, n: [v.numpy(), n], OUTPUT, "values as a numpy array",
        "make it a tensor: torch.from_numpy(values)", "torch.from_numpy(values)",
    ),
    "a list of values": Mistake(
        lambda v, n: [list(v), n], OUTPUT, "values as a list",
        "make it a tensor (B, F, D): torch.stack(values)", "torch.stack(values)",
    ),
    "no axis of clips": Mistake(
        lambda v, n: [v[0], n], OUTPUT, ONE_CLIP,
        "keep the batch's axis, (B, F, D): return values[None]",
        "return (B, F, D): clips, frames, dimension",
    ),
    "one axis too many": Mistake(
        lambda v, n: [v[:, None], n], OUTPUT, "values of shape (1, 1, 50, 8) for 1 clip",
        "return (B, F, D): clips, frames, dimension; flatten the others", "flatten the others",
    ),
    "dimension before frames": Mistake(
        lambda v, n: [v.transpose(1, 2), n], OUTPUT, "values of shape (1, 8, 50) for 1 clip",
        "frames come before the dimension: return values.transpose(1, 2)",
        "return values.transpose(1, 2)",
    ),
    "the same, of a rate that varies": Mistake(
        lambda v, n: [v.transpose(1, 2), n], OUTPUT, "values of shape (1, 8, 50) for 1 clip",
        "frames come before the dimension: return values.transpose(1, 2)",
        "return values.transpose(1, 2)", {"frame_rate_varies": True},
    ),
    "frames before clips": Mistake(
        lambda v, n: [v.transpose(0, 1), n], OUTPUT, "values of shape (50, 1, 8) for 1 clip",
        "clips come first, (B, F, D): return values.transpose(0, 1)",
        "return values.transpose(0, 1)",
    ),
    "one vector without its axis": Mistake(
        lambda v, n: [v.mean(1), torch.ones_like(n)], OUTPUT, "values of shape (1, 8) for 1 clip",
        "one vector a clip is (B, 1, D): return values[:, None]", "return values[:, None]",
        {"frame_rate": None},
    ),
    "integers": Mistake(
        lambda v, n: [(9 * v).long(), n], OUTPUT, "values of type int64",
        "return vectors as float32; of codes those that they stand for",
        "returned values of type int64 from encode(); return vectors as float32",
    ),
    "booleans": Mistake(
        lambda v, n: [v > 0, n], OUTPUT, "values of type bool",
        "return vectors as float32; of codes those that they stand for", "values of type bool",
    ),
    "complex numbers": Mistake(
        lambda v, n: [torch.complex(v, v), n], OUTPUT, "values of type complex64",
        "return the real numbers, its magnitudes say, as float32", "values of type complex64",
    ),
    "a device where nothing is": Mistake(
        lambda v, n: [v.to("meta"), n], OUTPUT, "values on meta, where nothing is",
        "load the weights onto a device", "values on meta, where nothing is",
    ),
    "sparse values": Mistake(
        lambda v, n: [v.to_sparse(), n], OUTPUT, "values as a sparse tensor",
        "return values.to_dense()", "return values.to_dense()",
    ),
    "a graph for gradients": Mistake(
        with_graph, "output", "float32, with its graph for gradients",
        "return values.detach(), or compute under torch.no_grad(): memory grows with it",
    ),
    "NaN": Mistake(
        lambda v, n: [v / 0 * 0, n], OUTPUT, "NaN or infinity in 50 of 50 frames",
        "guard logarithms and divisions: its output is not finite",
        "NaN or infinity in 50 of 50 frames",
    ),
    "lengths of numpy": Mistake(
        lambda v, n: [v, n.numpy()], OUTPUT, "lengths as a numpy array",
        "make it a tensor: torch.from_numpy(lengths)", "torch.from_numpy(lengths)",
    ),
    "a list of lengths": Mistake(
        lambda v, n: [v, n.tolist()], OUTPUT, "lengths as a list",
        "make it a tensor (B,): torch.tensor(lengths)", "torch.tensor(lengths)",
    ),
    "one int for all lengths": Mistake(
        lambda v, n: [v, v.shape[1]], OUTPUT, "lengths as an int",
        "make it a tensor (B,): torch.tensor(lengths)", "torch.tensor(lengths)",
    ),
    "lengths that are no whole numbers": Mistake(
        lambda v, n: [v, n / 1.0], OUTPUT, "lengths of type float32",
        "return whole numbers of frames: lengths.long()", "lengths.long()",
    ),
    "one length for the batch": Mistake(
        lambda v, n: [v, n.max()], OUTPUT, "lengths of shape () for 1 clip",
        "return each clip's own number of frames, (B,)", "return each clip's own number",
    ),
    "lengths on another device": Mistake(
        lambda v, n: [v, n.to("meta")], OUTPUT, "lengths on meta, where nothing is",
        "make them on the CPU", "lengths on meta",
    ),
    "lengths of 0": Mistake(
        lambda v, n: [v, n * 0], "frame lengths", "0 of 50 for 0.5 s",
        "give each clip one frame at least: lengths.clamp(min=1)",
    ),
    "lengths beyond the frames": Mistake(
        lambda v, n: [v, n + 1], "frame lengths", "51 of 50 for 0.5 s",
        "no clip has more than values.shape[1], which is 50: lengths.clamp(max=...)",
    ),
    "lengths in samples": Mistake(
        lambda v, n: [v, n * HOP], "frame lengths", "8000 of 50 for 0.5 s",
        "they count samples: return frames, lengths // hop",
    ),
    "another dimension": Mistake(
        lambda v, n: [v, n], "embedding dimension", "8", "correct embedding_dim",
        "correct embedding_dim", {"embedding_dim": 9},
    ),
    "another frame rate": Mistake(
        lambda v, n: [v, n], "frame rate", "100.0", "correct frame_rate",
        "correct frame_rate", {"frame_rate": 90.0},
    ),
    "another sample rate": Mistake(
        lambda v, n: [v, n], "frame rate", "150.0",
        "correct frame_rate; or sample_rate, which would be 16000 Hz by the frames",
        "sample_rate, which would be 16000 Hz by the frames", {"sample_rate": 24_000},
    ),
}  # fmt: skip


def breach(encoder: AudioEncoder, row: str, **options: Any) -> Check:
    found = [one for one in validate(encoder, quick=True, device="cpu") if one.what == row]
    assert [one.verdict for one in found] == [BREACH]
    return found[0]


@pytest.mark.parametrize("case", MISTAKES)
def test_validate_says_what_is_wrong_and_what_cures_it(case: str) -> None:
    mistake = MISTAKES[case]
    found = breach(Returning(mistake.make, mistake.claims), mistake.row)
    assert found.measured.startswith(mistake.said)
    assert found.why == mistake.cure


def test_one_mistake_is_told_once() -> None:
    swapped = Returning(MISTAKES["dimension before frames"].make, {"honours_lengths": False})
    checks = validate(swapped, quick=True, device="cpu")
    assert [check.what for check in checks if check.verdict == BREACH] == [OUTPUT]
    why = {check.what: check.why for check in checks if check.verdict == "skipped"}
    assert why["padding"] == why["batch mates"] == why["0.05 s"] == f"fails as {OUTPUT!r} does"


@pytest.mark.parametrize("case", [name for name, one in MISTAKES.items() if one.in_run])
def test_a_run_says_it_too(
    case: str, toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    task, data = toy({"train": 4, "valid": 2, "test": 2})
    mistake = MISTAKES[case]
    (result,) = evaluate(
        Returning(mistake.make, mistake.claims), str(task), data=data, device="cpu",
        results=tmp_path / "r", cache=tmp_path / "c",
    )  # fmt: skip
    said = str(result.error)
    assert result.status == "failed" and "\n" not in said
    assert mistake.cure in said or mistake.in_run in said, said


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precision_is_taken_with_a_word(name: str) -> None:
    half = Returning(lambda v, n: [v.to(getattr(torch, name)), n], {})
    (found,) = [c for c in validate(half, quick=True, device="cpu") if c.what == "output"]
    assert (found.measured, found.verdict) == (name, "ok")
    assert found.why == (
        f"{name} keeps fewer digits than float32: compute the last layers in float32 where you can"
    )


def test_output_on_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a pretended GPU: what a run puts up with."""
    from earmark.benchmark.embedding.output import output_remarks

    found = Frames(torch.zeros(1, 2, 3), torch.tensor([2]))
    assert output_remarks(found, "cpu") == []
    for device in ("cuda", "cuda:1", "mps"):
        (fault,) = output_remarks(found, device)
        assert fault == ("on cpu", "return values on waveforms.device")


class Training(Honest):
    """Left in train mode, with a layer that does something else in it."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        return Frames(self.drop.train()(made.values), made.lengths)


def test_dropout_that_is_left_on() -> None:
    assert breach(Training(), "eval mode").why == "leave the modules in eval mode"
    found = breach(Training(), "determinism")
    assert found.why == "switch off dropout and other random numbers"


class Decoder(Honest, Codec):
    """A codec that forgets the lengths of what it decodes."""

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        return frames.values.repeat_interleave(HOP // 8, 1).flatten(1)  # type: ignore[return-value]


def test_decoding_without_lengths() -> None:
    found = breach(Decoder(), "decoded sound")
    assert found.measured == "a Tensor from decode()"
    assert found.why == "return (waveforms, lengths), (B, T) and (B,)"


# What is raised inside an encoder: its file, and the line of it that is named.
FILE = """\
import torch
from earmark import AudioEncoder, Frames
import beside


class Mine(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "mine", 16_000, 1, 100.0

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(160, 1){half}

    def encode(self, waveforms, lengths):
        frames = (lengths // 160).clamp(min=1)
        blocks = waveforms[:, : int(frames.max()) * 160].unflatten(1, (-1, 160))
        {body}
        return Frames(self.layer(blocks), frames)
"""
RAISED = {
    "in the file itself": (
        "blocks.no_such()", "AttributeError", "mine.py, line 16", "fix encode()",
    ),
    "in a file beside it": ("beside.fail()", "KeyError", "beside.py, line 2", "fix encode()"),
    # the last line of the encoder's own; torch's are below it
    "in torch": (
        "torch.nn.functional.conv1d(blocks[:, :1], torch.ones(1, 1, 999))", "RuntimeError",
        "mine.py, line 16", "pad what is shorter than a window, or set min_seconds",
    ),
    "half precision": (
        "pass", "RuntimeError", "mine.py, line 17",
        "audio comes as float32: keep the weights in float32",
    ),
    "an array of what has gradients": (
        "with torch.inference_mode(False): torch.ones(1, requires_grad=True).numpy()",
        "RuntimeError", "mine.py, line 16",
        "compute without gradients: detach()",
    ),
}  # fmt: skip


def written(folder: Path, case: str) -> str:
    (folder / "beside.py").write_text("def fail():\n    raise KeyError('beside')\n")
    half = ".half()" if case == "half precision" else ""
    (folder / "mine.py").write_text(FILE.format(body=RAISED[case][0], half=half))
    return f"{folder / 'mine.py'}:Mine"


@pytest.mark.parametrize("case", RAISED)
def test_an_error_names_the_line_of_the_encoders_own_file(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, kind, place, cure = RAISED[case]
    asked = written(tmp_path, case)
    found = breach(load_encoder(asked), OUTPUT)
    assert found.measured.startswith(f"{kind}: ") and found.measured.endswith(f"({place})")
    assert found.why.startswith(cure)
    assert 'beside.py", line 2' in found.trace or case != "in a file beside it"
    assert main(["validate", "--encoder", asked, "--quick"]) == 1
    assert "Traceback" not in capsys.readouterr().out
    assert main(["validate", "--encoder", asked, "--quick", "--traceback"]) == 1
    assert capsys.readouterr().out.count("Traceback") >= 1


def test_a_clip_that_fails_in_a_run_names_the_line(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    task, data = toy({"train": 4, "valid": 2, "test": 2})
    (tmp_path / "e").mkdir()
    asked = written(tmp_path / "e", "in a file beside it")
    body = "beside.fail() if lengths.max() > 8000 and lengths.max() % 8000 else None"
    file = tmp_path / "e" / "mine.py"
    file.write_text(FILE.format(body=body, half=""))
    (result,) = evaluate(
        asked, str(task), data=data, device="cpu", results=tmp_path / "r", cache=tmp_path / "c"
    )
    assert "encoder mine: KeyError: 'beside' (beside.py, line 2)" in str(result.error)


def test_of_what_comes_with_earmark_no_line_is_named() -> None:
    from earmark.encoders.blame import place_of

    encoder = load_encoder("logmel")
    try:
        encoder.encode(torch.zeros(1, 100), "x")  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - whatever it is
        assert place_of(error, encoder) == ""
        assert place_of(error, Faulty(lambda v, *_: v)) == ""
