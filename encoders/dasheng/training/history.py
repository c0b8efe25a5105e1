"""Losses step by step: CSV files, and a picture of them."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

from encoders.dasheng.training.config import TrainingError

Row = dict[str, float]
_SMOOTH = 50  # curves show the running mean over a 50th of the steps


class History:
    """What was lost at each step, and on held-out audio at each state."""

    def __init__(self, steps: Path, held_out: Path) -> None:
        self.paths = (steps, held_out)
        self.steps: list[Row] = []
        self.held_out: list[Row] = []

    def cut(self, last: int) -> None:
        """Take up what the files hold up to this step; what came after it is done again.

        Raises TrainingError where a file cannot be read or lacks steps.
        """
        self.steps, self.held_out = (
            [row for row in _read(path) if row["step"] <= last] if last else []
            for path in self.paths
        )
        if [row["step"] for row in self.steps] != list(range(1, last + 1)):
            raise TrainingError(
                f"{self.paths[0]} lacks steps that the state beside it has; begin anew with --fresh"
            )

    def add(self, step: int, losses: Row) -> None:
        self.steps.append({"step": step} | losses)

    def add_held_out(self, step: int, losses: Row) -> None:
        self.held_out.append({"step": step} | losses)

    def write(self) -> None:
        """Both files, each whole."""
        for path, rows in zip(self.paths, (self.steps, self.held_out), strict=True):
            if rows:
                _write(path, rows)
            else:
                path.unlink(missing_ok=True)  # of a training before this one

    def draw(self, path: Path) -> bool:
        """The curves as PNG; False where matplotlib is not installed."""
        if importlib.util.find_spec("matplotlib") is None or not self.steps:
            return False
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        names = [name for name in _columns(self.steps) if name not in ("step", "clips_per_second")]
        across = min(3, len(names))
        down = -(-len(names) // across)
        figure = Figure(figsize=(4.0 * across, 2.6 * down), layout="constrained")
        for place, name in enumerate(names):
            axes = figure.add_subplot(down, across, place + 1)
            trained = [(row["step"], row[name]) for row in self.steps if name in row]
            axes.plot(*zip(*_smoothed(trained), strict=True), color="#0072b2", label="training")
            held = [(row["step"], row[name]) for row in self.held_out if name in row]
            if held:
                axes.plot(
                    *zip(*held, strict=True), color="#d55e00", marker="o", markersize=3,
                    linestyle="--", label="held out",
                )  # fmt: skip
                axes.legend(frameon=False, fontsize=8)
            axes.set_title(name.replace("_", " "), fontsize=10)
            axes.set_xlabel("step", fontsize=8)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
        FigureCanvasAgg(figure).print_png(str(path))
        return True


def _smoothed(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over consecutive stretches."""
    size = max(1, len(points) // (4 * _SMOOTH))
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def _columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _write(path: Path, rows: list[Row]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="")
        writer.writeheader()
        writer.writerows({**row, "step": int(row["step"])} for row in rows)
    temporary.replace(path)


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {name: float(text) for name, text in row.items() if text}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise TrainingError(f"{path} cannot be read: {error}; begin anew with --fresh") from error
    if any("step" not in row for row in rows):
        raise TrainingError(f"{path} has a row without a step; begin anew with --fresh")
    return rows
