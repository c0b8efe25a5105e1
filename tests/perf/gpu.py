"""Measure Earmark on a GPU: numbers equal to the CPU's, speed, recovery, memory.

    python tests/perf/gpu.py                          # all of it, at most 8 minutes
    python tests/perf/gpu.py --part equal speed       # some of it
    python tests/perf/gpu.py --device cpu --tiny      # try the script itself, within a minute

Parts, each a process of its own with a time limit:
  machine   names, versions, clocks as found; rates of bare matrix products and copies
  equal     dasheng (float32, bf16), kNN, probes of clips and frames, CTC, towers beside the CPU's
  speed     x real time of the 805 M encoder, and its share of a bare forward loop
  probe     the probe of clips and kNN at VoxCeleb1's size
  memory    out of memory: batches are halved and nothing is lost
  training  a step of acoustic injection beside a bare loop

Weights and data are drawn at random; nothing is fetched. Writes a JSON file after every part, and
prints a table. Exit status: 0 every bound and goal is met, 1 something is missed, 2 cannot start.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# the checkout itself is measured, installed or not; and the tests' float64 reference is used
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gpu_record import (
    Facts,
    Figure,
    Measured,
    Part,
    Settings,
    line_of,
    read_lines,
    report,
    table,
    write_line,
    write_report,
)

REPOSITORY = Path(__file__).resolve().parents[2]
# In the order of what is missed most where time runs out; seconds that each may take on a GPU.
PARTS = {
    "machine": 60, "equal": 120, "speed": 150, "probe": 120, "memory": 75, "training": 150,
}  # fmt: skip
WORTH_STARTING = 15  # seconds
COULD_NOT_START = 2


def main() -> int:
    arguments = parse()
    settings = Settings(arguments.device or "cuda", arguments.tiny)
    if arguments.lines is not None:
        return in_this_process(arguments.part[0], settings, arguments.lines)
    fault = why_not(settings, arguments.out)
    if fault is not None:
        print(f"gpu.py: {fault}", file=sys.stderr)
        return COULD_NOT_START
    values = measure(settings, arguments.part or list(PARTS), arguments.minutes, arguments.out)
    print(table(values), flush=True)
    print(f"written to {arguments.out}")
    return 0 if values["all_met"] else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes; what a CPU can do")
    parser.add_argument(
        "--part", nargs="+", choices=list(PARTS), metavar="NAME", help="default: all"
    )
    parser.add_argument(
        "--minutes", type=float, default=8.0, metavar="M", help="for all parts (default: 8)"
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "results" / "perf" / "gpu.json", metavar="FILE",
        help="default: results/perf/gpu.json",
    )  # fmt: skip
    parser.add_argument("--lines", type=Path, help=argparse.SUPPRESS)  # of a part's own process
    return parser.parse_args()


def why_not(settings: Settings, out: Path) -> str | None:
    """Why it cannot start, in a line; None where it can."""
    if settings.device == "cpu" and not settings.tiny:
        return "the sizes are a GPU's; with --device cpu give --tiny too"
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        return (
            f"torch {torch.__version__} finds no GPU here; to try the script: --device cpu --tiny"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        return f"{out.parent} cannot be written ({error.strerror}); choose another file by --out"
    return None


def measure(settings: Settings, names: list[str], minutes: float, out: Path) -> dict[str, Any]:
    """Run the parts one after the other, and write what there is after each."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    end = time.monotonic() + 60 * minutes
    facts: dict[str, Any] = {}
    parts: list[Part] = []
    for name in names:
        begun = time.monotonic()
        limit = min(PARTS[name], end - begun)
        print(f"{name}", flush=True)
        if limit < WORTH_STARTING:
            part = Part(name, error=f"not run: {limit:.0f} s of {minutes:g} minutes are left")
        else:
            part = in_own_process(name, settings, limit, facts)
        part.seconds = time.monotonic() - begun
        parts.append(part)
        values = report(parts, facts, started)
        write_report(out, values)
    return values


def in_own_process(name: str, settings: Settings, limit: float, facts: dict[str, Any]) -> Part:
    """A part in a process of its own: one that fails or hangs takes no other along."""
    part = Part(name)
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines.jsonl"
        command = [
            sys.executable, __file__, "--part", name, "--device", settings.device,
            "--lines", str(lines), *(["--tiny"] if settings.tiny else []),
        ]  # fmt: skip
        try:
            code = subprocess.run(command, timeout=limit, check=False).returncode
            if code != 0:
                told = Path(folder) / "error.txt"
                part.error = told.read_text().strip() if told.is_file() else f"exit status {code}"
        except subprocess.TimeoutExpired:
            part.error = f"stopped at its limit of {limit:.0f} s"
        read_lines(lines, part, facts)
    return part


def in_this_process(name: str, settings: Settings, lines: Path) -> int:
    """What a part's own process does; 1 where it fails, with the reason beside its lines."""
    try:
        run_part(name, settings, lambda one: write_line(lines, one))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other parts go on
        import traceback

        traceback.print_exc()
        reason = " ".join(str(error).split())[:300]
        lines.with_name("error.txt").write_text(f"{type(error).__name__}: {reason}")
        return 1
    return 0


def run_part(name: str, settings: Settings, take: Callable[[Figure | Facts], None]) -> None:
    """Measure one part, and hand over each figure as soon as it is there."""
    from gpu_machine import facts, peaks

    take(Facts(facts(settings.device)))
    part: Callable[[Settings], Measured] = importlib.import_module(f"gpu_{name}").measure
    for one in part(settings):
        take(one)
        if isinstance(one, Figure):
            print(line_of(one.facts()), flush=True)
    for one in peaks(settings.device):
        take(one)


if __name__ == "__main__":
    sys.exit(main())
