"""Runs the package X-ARES 0.1.3 and Earmark's protocol of that name on the same encoder and data.

    python tests/peer/measure.py --data ../shared/data

By hand, not in CI: it makes an environment for X-ARES (torch below 2.9: some 6 GB), and X-ARES is
slow. What it measures goes to `tests/peer/measured.json`, which CI holds Earmark
against (`tests/end_to_end/test_peer.py`). Each round runs theirs, then ours, every cache empty:

- real data: ESC-50 and the Free Spoken Digit Dataset, with times;
- with --part twins: Earmark's synthetic twins of tasks whose faults these two do not show: frames
  (DESED, MAESTRO), several labels (FSD50k), lost crops (FMA, LibriSpeech-MF), captions and
  transcripts. BERT's tokenizer and Qwen2.5 are stood in for by small ones, made here, of random
  weights, which both read.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(REPOSITORY), str(HERE), str(HERE.parent / "helpers")]

from stand_ins import make_bert, make_language_model  # noqa: E402

MEASURED = HERE / "measured.json"
PACKAGES = ("xares==0.1.3", "torch<2.9", "torchaudio<2.9")
VERSIONS_OF = ("xares", "torch", "torchaudio", "pytorch-ignite", "webdataset", "scikit-learn",
               "transformers", "numpy")  # fmt: skip
# ours -> the folder X-ARES wants, its task file
REAL = {"esc50": ("esc50", "tasks/esc50_task.py"), "fsdd": ("fsdd", "fsdd_task.py")}
TWINS = {
    "desed": ("desed", "tasks/desed_task.py"),
    "maestro": ("maestro", "tasks/maestro_task.py"),
    "fsd50k": ("fsd50k", "tasks/fsd50k_task.py"),
    "fma_small": ("freemusicarchive", "tasks/freemusicarchive_genre_task.py"),
    "librispeech_mf": ("librispeechmalefemale", "tasks/librispeech_male_female_task.py"),
    "vocal_imitation": ("vocalimitations", "tasks/vocalimitations_task.py"),
    "clotho": ("clotho", "tasks/clotho_task.py"),
    "librispeech_100h": ("librispeech", "tasks/librispeech_asr_task.py"),
}
_THREADS = {"OMP_NUM_THREADS": "2"}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with esc50/ and fsdd/"
    )
    parser.add_argument("--environment", type=Path, default=Path.home() / ".cache/earmark-peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("real", "twins", "show"), default="real")
    parser.add_argument("--tasks", nargs="+", help="only these of the part; others are kept")
    parser.add_argument("--out", type=Path, default=MEASURED)
    arguments = parser.parse_args(argv)
    found = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    if arguments.part != "show":
        python = _environment(arguments.environment)
        real = arguments.part == "real"
        part = found.setdefault(arguments.part, {"tasks": {}})
        part |= {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, 2 threads, no GPU",
            "theirs": _versions(python),
            "ours": _versions(Path(sys.executable)),
        }
        for task, (folder, file) in (REAL if real else TWINS).items():
            if task in (arguments.tasks or [task]):
                part["tasks"][task] = _rounds(
                    python, task, folder, file, arguments.data if real else None, arguments.rounds
                )
                arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    show(found)


def _environment(folder: Path) -> Path:
    """The Python of an environment that has X-ARES."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making an environment for X-ARES in {folder}", flush=True)
        subprocess.run(["python3.11", "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (folder / "complete").touch()
    return python


def _versions(python: Path) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {'python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    words = [str(python), "-c", code, *VERSIONS_OF]
    made: dict[str, str] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return made


def _rounds(
    python: Path, task: str, folder: str, file: str, data: Path | None, rounds: int
) -> dict[str, Any]:
    """whose -> probe -> the score of each round, and `seconds`. data None: the twin."""
    theirs: dict[str, list[float]] = {}
    ours: dict[str, list[float]] = {}
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="peer-") as name:
            room = Path(name)
            shards = _twin(task, room) if data is None else data / folder
            clock = time.monotonic()
            scores = _theirs(python, room, folder, file, shards)
            _note(theirs, scores, clock)
            print(f"{task}, round {number}: theirs {scores}", flush=True)
            clock = time.monotonic()
            scores = {p: score["value"] for p, score in _ours(room, task, data, 1).items()}
            _note(ours, scores, clock)
            print(f"{task}, round {number}: ours {scores}", flush=True)
            if number == rounds:
                # one seed is the same in every round: so many seeds show the spread
                ours["linear"] = _ours(room, task, data, rounds)["linear"]["per_seed"]
    return {"theirs": theirs, "ours": ours}


def _note(cell: dict[str, list[float]], scores: dict[str, float], clock: float) -> None:
    cell.setdefault("seconds", []).append(round(time.monotonic() - clock, 1))
    for probe, score in scores.items():
        cell.setdefault(probe, []).append(score)


def _theirs(python: Path, room: Path, folder: str, file: str, shards: Path) -> dict[str, float]:
    """Scores of X-ARES, run as its README says, on shards that lie ready for it."""
    place = room / "env" / folder
    place.mkdir(parents=True)
    for shard in sorted(shards.resolve().glob("*.tar")):
        (place / shard.name).symlink_to(shard)
    (place / ".audio_tar_ready").touch()
    for name in ("spectrum_encoder.py", "fsdd_task.py"):
        shutil.copy(HERE / name, room)
    make_bert(room / "google-bert" / "bert-base-uncased")
    make_language_model(room / "Qwen" / "Qwen2.5-0.5B")
    words = [str(python), "-m", "xares.run", "spectrum_encoder.py", file, "--max-jobs", "0"]
    environment = os.environ | _THREADS | {"HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(words, cwd=room, env=environment, capture_output=True, text=True)
    found = re.search(r"Results:\n.*\n\s*\S+.*?\s([\d.]+)\s+([\d.]+)\s+(True|False)", done.stdout)
    if found is None:
        raise SystemExit(f"X-ARES failed on {file}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    linear, knn = float(found[1]), float(found[2])
    return {"linear": linear} | ({"knn": knn} if knn else {})


def _ours(room: Path, task: str, data: Path | None, seeds: int) -> dict[str, Any]:
    """Scores of our command as its result file has them. data None: the twin."""
    hub = room / "hub"
    make_bert(hub / "models--google-bert--bert-base-uncased", as_cache=True)
    make_language_model(room / "small-model")
    wanted = str(HERE.parent / "data" / "fsdd.yaml") if task == "fsdd" else task
    words = [
        sys.executable, str(REPOSITORY / "run_bench.py"),
        "--encoder", str(HERE / "spectrum_encoder.py"), "--tasks", wanted,
        "--data", "synthetic" if data is None else str(data.resolve()),
        "--protocol", "xares-0.1.3", "--seeds", str(seeds),
        "--language-model", str(room / "small-model"),
        "--results", str(room / f"runs-{seeds}"), "--cache", str(room / "cache"),
    ]  # fmt: skip
    environment = os.environ | _THREADS | {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    files = list((room / f"runs-{seeds}").rglob("*.json"))
    if done.returncode or len(files) != 1:
        raise SystemExit(f"Earmark failed on {task}:\n{done.stderr[-4000:]}")
    scores: dict[str, Any] = json.loads(files[0].read_text())["scores"]
    return scores


def _twin(task: str, room: Path) -> Path:
    """The synthetic twin of a task, where our run will look for it."""
    from earmark.benchmark import synthetic
    from earmark.tasks import builtin_tasks

    return synthetic.synthesise(
        builtin_tasks()[task], room / "cache" / "synthetic" / f"v{synthetic.VERSION}"
    )


def show(found: dict[str, Any]) -> None:
    """Theirs beside ours: mean and standard deviation over the rounds, and seconds of a run."""
    from statistics import mean, stdev

    head = ("task", "probe", "theirs", "ours", "difference", "theirs s", "ours s", "ratio")
    print(("{:<18}{:<8}" + "{:>16}" * 2 + "{:>12}{:>10}{:>8}{:>7}").format(*head))
    for kind in found.values():
        for task, cell in kind["tasks"].items():
            theirs, ours = cell["theirs"], cell["ours"]
            for probe in ("linear", "knn"):
                if probe not in theirs:
                    continue
                texts = [
                    f"{mean(own[probe]):.4f}"
                    + (f" ± {stdev(own[probe]):.4f}" if len(own[probe]) > 1 else "")
                    for own in (theirs, ours)
                ]
                gap = mean(ours[probe]) - mean(theirs[probe])
                seconds = [mean(own["seconds"]) for own in (theirs, ours)]
                print(
                    f"{task:<18}{probe:<8}{texts[0]:>16}{texts[1]:>16}{gap:>+12.4f}"
                    f"{seconds[0]:>10.1f}{seconds[1]:>8.1f}{seconds[0] / seconds[1]:>7.1f}"
                )


if __name__ == "__main__":
    main()
