"""Encoder code and the process it runs in: imports that last, and nothing that leaks."""

from __future__ import annotations

import locale
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earmark import evaluate, reconstruct, validate
from earmark.encoders import AudioEncoder, encode_each, load_encoder

FILE = """\
import os, random, signal, sys, warnings, locale
import numpy as np
import torch
from earmark import Codec, Frames
{top}


class Mine(Codec):
    name, sample_rate, embedding_dim, frame_rate = "mine", 16_000, 2, 100.0

    def __init__(self):
        super().__init__()
        {init}

    def encode(self, waveforms, lengths):
        {encode}
        frames = (lengths // 160).clamp(min=1)
        values = waveforms[:, : int(frames.max()) * 160 : 160, None]
        return Frames(torch.cat([values, values.square()], 2)[:, : int(frames.max())], frames)

    def decode(self, frames):
        {decode}
        return frames.values[:, :, 0].repeat_interleave(160, 1), frames.lengths * 160
"""

LEAKS = {
    "double": "torch.set_default_dtype(torch.float64)",
    "precision": "torch.set_float32_matmul_precision('medium')",
    "newer switch of precision": "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "determinism": "torch.use_deterministic_algorithms(True, warn_only=True)",
    "cudnn": "torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark",
    "tf32": "torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32",
    "onednn": "torch.backends.mkldnn.enabled = False",
    "gradients": "torch.set_grad_enabled(False)",
    "autocast": "torch.set_autocast_enabled('cpu', True)",
    "autocast never left": "torch.autocast('cpu', dtype=torch.bfloat16).__enter__()",
    "device": "torch.set_default_device('meta')",
    "denormals": "torch.set_flush_denormal(True)",
    "torch seed": "torch.manual_seed(7)",
    "numpy seed": "np.random.seed(7)",
    "numpy generator": "np.random.set_bit_generator(np.random.MT19937(3))",
    "seed": "random.seed(7)",
    "numpy errors": "np.seterr(all='raise')",
    "folder": "os.chdir('/')",
    "environment": "os.environ.update(EARMARK_LEAK='1'); os.environ.pop('HOME', None)",
    "locale": "locale.setlocale(locale.LC_ALL, 'C')",
    "warnings": "warnings.simplefilter('error')",
    "signals": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "alarm": "signal.setitimer(signal.ITIMER_REAL, 1000)",
    "closed stream": "sys.stdout.close()",
    "closed file": "os.close(1)",
    "other stream": "sys.stderr = open(os.devnull, 'w')",
    "path": "sys.path.insert(0, '/no/such'); sys.path.append('/none')",
    "another path": "sys.path = ['/no/such']",
    "recursion": "sys.setrecursionlimit(sys.getrecursionlimit() + 50)",
    "hook": "sys.excepthook = print",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """make(folder, where=code, ...) -> how to ask for the encoder."""

    def make(folder: str = "a", **code: str) -> str:
        path = tmp_path / folder / "enc.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FILE.format(**dict.fromkeys(("top", "init", "encode", "decode"), "pass")
                                    | {"top": ""} | code))  # fmt: skip
        return f"{path}:Mine"

    return make


WAVES = torch.from_numpy(
    np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32) * 1e-2
)
LENGTHS = torch.tensor([8000, 8000])


def encoded(encoder: AudioEncoder) -> torch.Tensor:
    with torch.inference_mode():
        (frames,) = encode_each([encoder], WAVES, LENGTHS)
    return frames.values


def process() -> dict[str, Any]:
    """What a leak would change, read without the code under test."""
    standard: Any = np.random.get_state()
    return {
        "dtype": torch.get_default_dtype(),
        "new": torch.zeros(1).device,
        "precision": torch.get_float32_matmul_precision(),
        "onednn precision": torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
        "threads": torch.get_num_threads(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32),
        "onednn": torch.backends.mkldnn.enabled,  # type: ignore[attr-defined]
        "gradients": torch.is_grad_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "denormals": float(torch.tensor([1e-40]) + torch.tensor([1e-40])) > 0,
        "torch numbers": torch.get_rng_state().tolist(),
        "numpy numbers": (standard[1].tolist(), standard[2:]),
        "numbers": random.getstate(),
        "numpy errors": np.geterr(),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "warnings": list(warnings.filters),
        "interrupt": signal.getsignal(signal.SIGINT),
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "streams": (sys.stdout, sys.stderr, sys.stdout.closed, os.fstat(1).st_ino),
        "path": (id(sys.path), list(sys.path)),
        "recursion": sys.getrecursionlimit(),
        "hook": sys.excepthook,
    }


@pytest.mark.parametrize("name", LEAKS)
def test_nothing_an_encoder_does_to_the_process_outlasts_the_call(
    name: str, write: Callable[..., str]
) -> None:
    logmel = load_encoder("logmel")
    expected = encoded(logmel)
    np.random.standard_normal()  # leaves the second of a pair behind
    before = process()
    for place in ("top", "init", "encode"):
        leaking = load_encoder(write(place, **{place: LEAKS[name]}))
        after = process()
        assert after == before, place
        try:
            encoded(leaking)
        except NotImplementedError:
            assert name == "device"  # nothing can be computed there
        after = process()
        assert after == before, place
        assert torch.equal(encoded(logmel), expected)
        assert torch.equal(encoded(load_encoder("logmel")), expected)


def test_it_is_put_back_where_the_code_raises(write: Callable[..., str]) -> None:
    before = process()
    leaking = load_encoder(write(encode="; ".join([LEAKS["double"], LEAKS["folder"], "1 / 0"])))
    with pytest.raises(ZeroDivisionError):
        encoded(leaking)
    assert process() == before


def test_scores_do_not_depend_on_who_ran_before(
    write: Callable[..., str], toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    task, data = toy({"train": 8, "valid": 4, "test": 4})
    worst = "; ".join(LEAKS[name] for name in ("double", "precision", "gradients", "torch seed"))
    spec = write(top=worst, encode=worst)

    def scores(folder: str, encoders: list[str]) -> Any:
        options = {"data": data, "results": tmp_path / folder, "cache": tmp_path / f"{folder}c"}
        results = evaluate(encoders, str(task), seeds=1, device="cpu", **options)
        assert [result.error for result in results] == [None] * len(encoders)
        return results[-1].scores

    assert scores("two", [spec, "logmel"]) == scores("one", ["logmel"])


def test_validate_and_reconstruct_leak_nothing_either(
    write: Callable[..., str], toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    _, data = toy({"train": 2, "valid": 2, "test": 2})
    worst = "; ".join(LEAKS[name] for name in ("double", "folder", "environment", "warnings"))
    spec = write(encode=worst, decode=worst)
    before = process()
    validate(spec, quick=True, device="cpu")
    assert process() == before
    reconstruct(
        load_encoder(spec), data / "toy", workers=1, device="cpu", results=tmp_path / "r",
        cache=tmp_path / "c",
    )  # fmt: skip
    after = process()
    assert {key: after[key] for key in ("dtype", "folder", "environment", "warnings")} == {
        key: before[key] for key in ("dtype", "folder", "environment", "warnings")
    }


def test_what_an_encoder_set_for_itself_it_finds_again(write: Callable[..., str]) -> None:
    check = "assert torch.get_default_dtype() == torch.float64 and os.environ['MINE'] == '1'"
    top = "torch.set_default_dtype(torch.float64); os.environ['MINE'] = '1'"
    encoder = load_encoder(write(top=top, init=check, encode=check))
    for _ in range(2):
        encoded(encoder)
        assert "MINE" not in os.environ


def test_random_numbers_of_an_encoder_go_on_from_call_to_call(write: Callable[..., str]) -> None:
    draws = "self.drawn = [torch.rand(1).item(), np.random.rand(), random.random()]"
    first, second = (load_encoder(write(folder, encode=draws)) for folder in "ab")
    seen = []
    for encoder in (first, second, first):
        encoded(encoder)
        seen.append(encoder.drawn)
    # each its own, whoever draws in between; as seeded with 0
    assert seen[0] == seen[1] != seen[2]
    generator = torch.Generator().manual_seed(0)
    assert seen[0][0] == torch.rand(1, generator=generator).item()
    assert seen[0][1:] == [np.random.RandomState(0).rand(), random.Random(0).random()]
    assert seen[2][1] == np.random.RandomState(0).rand(2)[1]


def repository(folder: Path, number: int) -> Path:
    """A repository as research code has it: a package and a module of common names."""
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "__init__.py").write_text("from models.net import Net\n")
    (folder / "models" / "net.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        f"        from helpers import NUMBER\n        return x * 0 + NUMBER + {number}\n"
    )
    (folder / "helpers.py").write_text(f"NUMBER = {10 * number}\n")
    return folder


LATE = """\
        from models import Net
        self.net = Net()"""
CALL = """\
        import models.net
        assert models.net.Net is type(self.net)
        waveforms = self.net(waveforms)"""


@pytest.mark.parametrize("relative", [False, True])
def test_two_repositories_of_the_same_names_each_get_their_own(
    relative: bool, write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    specs = []
    for number, name in enumerate("ab", 1):
        folder = repository(tmp_path / f"their_repo_{name}", number)
        entry = folder.name if relative else str(folder)
        specs.append(
            write(
                name, top=f"sys.path.insert(0, {entry!r})", init=LATE.strip(), encode=CALL.strip()
            )
        )
    before, modules = list(sys.path), set(sys.modules)
    encoders = [load_encoder(spec) for spec in specs]
    for _ in range(2):
        # 11 and 22, each a row of its own number whatever ran before
        assert [float(encoded(one)[0, 0, 0]) for one in encoders] == [11.0, 22.0]
    assert sys.path == before
    assert not {"models", "models.net", "helpers"} & set(sys.modules)
    assert {name for name in set(sys.modules) - modules if "earmark_plugin" not in name} == set()
    assert len({one.fingerprint() for one in encoders}) == 2


def test_a_module_of_the_callers_own_is_neither_taken_nor_lost(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = repository(tmp_path / "mine", 5)
    monkeypatch.syspath_prepend(str(mine))
    import helpers  # type: ignore[import-not-found]

    try:
        repository(tmp_path / "a", 1)  # beside the encoder's file
        encoder = load_encoder(write(init=LATE.strip(), encode=CALL.strip()))
        assert float(encoded(encoder)[0, 0, 0]) == 11.0
        assert sys.modules["helpers"] is helpers and helpers.NUMBER == 50
    finally:
        sys.modules.pop("helpers", None)


def test_it_costs_a_fraction_of_a_millisecond(write: Callable[..., str]) -> None:
    encoder = load_encoder(write())

    def least(call: Callable[[], Any]) -> float:
        times = []
        for _ in range(40):
            begun = time.perf_counter()
            call()
            times.append(time.perf_counter() - begun)
        return min(times)

    assert least(lambda: encode_each([encoder], WAVES, LENGTHS)) - least(
        lambda: encoder.encode(WAVES, LENGTHS)
    ) < 2e-3  # fmt: skip
