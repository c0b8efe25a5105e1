"""Which device is meant, whether it is there, and what it is called."""

from __future__ import annotations

import platform
from collections.abc import Callable

import pytest
import torch
from faulty_encoders import Honest
from hypothesis import given
from hypothesis import strategies as st

from earmark.benchmark.bounds import check_device
from earmark.benchmark.cli.main import main
from earmark.encoders import EncoderError
from earmark.encoders.device import (
    as_current,
    choose_device,
    device_kind,
    device_name,
    free_memory,
    is_out_of_memory,
    parameter_count,
    probe_device,
    wait_for,
)
from earmark.encoders.surroundings import drawing_from, seeded

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """machine(gpus, mps): what torch finds."""

    def pretend(gpus: tuple[str, ...] = (), *, mps: bool = False) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: bool(gpus))
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(gpus))
        monkeypatch.setattr(
            "torch.cuda.get_device_name",
            lambda device=None: gpus[torch.device(device or 0).index or 0],
        )
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("auto", "cuda"), ("cpu", "cpu"), ("cuda", "cuda"), ("cuda:0", "cuda:0"),
        ("cuda:1", "cuda:1"), ("mps", "mps"), ("mps:0", "mps"),
    ],
)  # fmt: skip
def test_what_is_there_is_chosen(machine: Machine, wanted: str, chosen: str) -> None:
    machine(("Big", "Small"), mps=True)
    assert choose_device(wanted) == chosen


def test_auto_is_the_cpu_where_there_is_no_gpu(machine: Machine) -> None:
    machine(mps=True)  # which lacks operations that encoders use: only where it is asked for
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("gpus", "mps", "wanted", "said"),
    [
        ((), False, "cuda", "device cuda: torch finds none here, but cpu; use --device cpu"),
        ((), False, "mps", "device mps: torch finds none here, but cpu; use --device cpu"),
        (("Big",), True, "cuda:1",
         "device cuda:1: torch finds none here, but cpu, cuda:0 (Big), mps; use --device cpu"),
        (("Big",), False, "gpu",
         "device 'gpu' is none: give auto, cpu, cuda, cuda:1 (the second GPU) or mps"),
        (("Big",), False, "cuda:x",
         "device 'cuda:x' is none: give auto, cpu, cuda, cuda:1 (the second GPU) or mps"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(
    machine: Machine, gpus: tuple[str, ...], mps: bool, wanted: str, said: str
) -> None:
    machine(gpus, mps=mps)
    with pytest.raises(EncoderError) as caught:
        choose_device(wanted)
    assert str(caught.value) == said


@pytest.mark.parametrize("command", ["run", "validate"])
def test_the_command_line_says_so_in_a_line(
    machine: Machine, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(("Big",))
    words = [command, "--encoder", "logmel", "--device", "cuda:7"]
    more = ["--tasks", "esc50", "--data", "synthetic"] if command == "run" else []
    assert main([*words, *more]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.endswith(
        "device cuda:7: torch finds none here, but cpu, cuda:0 (Big); use --device cpu\n"
    )


@pytest.mark.parametrize("command", ["run", "validate", "reconstruct", "train", "ablation"])
def test_a_word_that_is_no_device_is_refused_by_each_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--device", "gpu"])
    assert caught.value.code == 2
    assert "must be auto, cpu, cuda, cuda:N or mps, not 'gpu'" in capsys.readouterr().err


@given(
    st.one_of(st.text(max_size=8), st.from_regex(r"(cuda|mps|cpu|auto):?\d{0,5}", fullmatch=True))
)
def test_a_device_is_one_of_four_or_a_numbered_gpu(text: str) -> None:
    kind, _, number = text.partition(":")
    # by the letter, where the code asks a pattern
    good = text in ("auto", "cpu", "cuda", "mps") or (
        kind == "cuda" and 1 <= len(number) <= 4 and all(c in "0123456789" for c in number)
        and text.count(":") == 1
    )  # fmt: skip
    try:
        check_device(text)
        assert good
    except ValueError:
        assert not good


def test_names_and_kinds(machine: Machine) -> None:
    machine(("Big", "Small"))
    assert device_name("cuda:1") == "Small"
    assert device_name("cuda:0") == "Big"
    assert device_name("cpu") == f"cpu {platform.machine()}"
    assert device_name("mps") == f"mps {platform.machine()}"
    assert [device_kind(one) for one in ("cpu", "cuda", "cuda:1", "mps")] == [
        "cpu", "cuda", "cuda", "mps",
    ]  # fmt: skip
    # float64 is absent on mps
    assert [probe_device(one) for one in ("cpu", "cuda:1", "mps")] == ["cpu", "cuda:1", "cpu"]
    assert parameter_count(Honest()) == 3 * 8 + 8


def test_the_device_that_is_meant_is_waited_for_and_emptied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[tuple[str, object]] = []
    for module in (torch.cuda, torch.mps):
        for name in ("synchronize", "empty_cache"):
            where = f"{module.__name__}.{name}"
            monkeypatch.setattr(where, lambda *a, where=where: called.append((where, *a)))
    for device in ("cpu", "cuda:1", "mps"):
        wait_for(device)
        free_memory(device)
    assert called == [
        ("torch.cuda.synchronize", "cuda:1"), ("torch.cuda.empty_cache",),
        ("torch.mps.synchronize",), ("torch.mps.empty_cache",),
    ]  # fmt: skip


def test_memory_that_is_full_is_known_by_what_each_device_says() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not is_out_of_memory(RuntimeError("out of ideas"))


def test_only_a_gpu_with_a_number_is_made_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside: list[str] = []
    monkeypatch.setattr("torch.cuda.device", lambda device: inside.append(device))
    for device in ("cpu", "mps", "cuda", "cuda:1"):
        as_current(device)
    assert inside == ["cuda:1"]


def test_random_numbers_of_mps_are_an_encoders_own_too(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"now": torch.tensor([7])}
    monkeypatch.setattr("earmark.encoders.surroundings._has_mps", lambda: True)
    monkeypatch.setattr("torch.mps.get_rng_state", lambda: states["now"])
    monkeypatch.setattr("torch.mps.set_rng_state", lambda state: states.update(now=state))
    real = torch.Generator
    monkeypatch.setattr("torch.Generator", lambda device="cpu": real("cpu"))
    own = seeded()
    with drawing_from(own) as exchanged:
        assert states["now"] is own.mps
        states["now"] = torch.tensor([8])  # it draws
    assert states["now"].tolist() == [7]
    assert exchanged.after.mps is not None and exchanged.after.mps.tolist() == [8]
