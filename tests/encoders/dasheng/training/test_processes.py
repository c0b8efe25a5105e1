"""Two processes started by torchrun train as one does at the same global batch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clips import REPOSITORY
from training_files import INJECTION, SEMANTIC, corpus, dasheng_file

from earmark.encoders.dasheng.training import TrainingError, train
from earmark.encoders.dasheng.training.processes import is_first, processes

CONFIGS = (
    replace(SEMANTIC, steps=5, checkpoint_every=3),
    replace(
        INJECTION, steps=5, checkpoint_every=3,
        losses=replace(INJECTION.losses, adversarial_from=0.2),
    ),
)  # fmt: skip


def by_torchrun(count: int, out: Path) -> tuple[int, str, str]:
    """This file as a program, in so many processes: status, output and errors."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "helpers")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node",
         str(count), __file__, str(out)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, errors = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # torchrun ends its own
        raise
    return process.returncode, out, errors


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    semantic = dasheng_file(tmp_path)
    status, printed, errors = by_torchrun(2, tmp_path)
    assert status == 0, errors[-3000:]
    # 3 contexts of 2 crops cannot be shared among 2
    assert "3 contexts in a batch cannot be shared among 2 processes; choose batch" in printed
    for config in CONFIGS:
        out = tmp_path / type(config).__name__
        shared = json.loads((out / "losses.json").read_text())
        alone = train(
            config,
            corpus(1.5, 2.0),
            tmp_path / "one" / out.name,
            semantic=semantic,
            held_out=corpus(1.5, 2.0),
        )
        same_losses(shared["steps"], alone.history.steps)
        same_losses(shared["held_out"], alone.history.held_out)
        kept = sorted(path.name for path in (out / "training").iterdir())
        assert kept == ["held_out.csv", "losses.csv", "state.pt"]
    assert "feature_matching" in alone.history.steps[-1]


def same_losses(shared: list[dict[str, float]], alone: list[dict[str, float]]) -> None:
    assert len(shared) == len(alone) > 0
    for ours, theirs in zip(shared, alone, strict=True):
        assert set(ours) == set(theirs)
        for name in set(theirs) - {"clips_per_second"}:
            # within its margin a hinge gives the verdict's bias a gradient of rounding alone,
            # which Adam makes a whole step of
            most = 1e-3 if name in ("adversarial", "total") else 0
            near = 1e-4 if name == "gradient" else 1e-5
            assert ours[name] == pytest.approx(theirs[name], rel=near, abs=most), name


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda:1", "device cuda:1: torchrun gives each process its GPU; say cuda"),
        ("mps", "device mps: torchrun's processes meet on cpu or cuda alone"),
    ],
)
def test_of_several_processes_none_chooses_its_gpu(device, said, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=said), processes(device):
        pass


def test_one_process_trains_on_the_gpu_that_was_named(monkeypatch):
    chosen = []
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    for device, meant in (("cuda:1", "cuda:1"), ("cuda", "cuda:0"), ("mps", "mps")):
        with processes(device) as group:
            assert group.device == torch.device(meant)
    assert chosen == [torch.device("cuda", 1), torch.device("cuda", 0)]


def main(folder: Path) -> None:
    audio = corpus(1.5, 2.0)
    semantic = folder / "small.pt"
    try:
        train(replace(INJECTION, batch=6), audio, folder / "none", semantic=semantic)
    except TrainingError as error:
        print(error)
    for config in CONFIGS:
        out = folder / type(config).__name__
        trained = train(config, audio, out, semantic=semantic, held_out=audio)
        if is_first():
            rows = {"steps": trained.history.steps, "held_out": trained.history.held_out}
            (out / "losses.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
