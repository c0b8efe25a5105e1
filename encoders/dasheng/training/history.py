"""Losses step by step: CSV files, and a picture of them."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from earmark.encoders.dasheng.training.config import TrainingError

Row = dict[str, float]
SPEED = "clips_per_second"
_SMOOTH = 50  # curves show the running mean over a 50th of the steps


class History:
    """What was lost at each step, and on held-out audio at each state.

    names: columns of both files, which may stay empty in some steps or in all. In memory is only
    what has not been written yet.
    """

    def __init__(self, steps: Path, held_out: Path, names: Sequence[str]) -> None:
        self.names = ["step", *names, SPEED]
        self.new: dict[Path, list[Row]] = {steps: [], held_out: []}
        self.steps_file, self.held_out_file = steps, held_out

    @property
    def steps(self) -> list[Row]:
        """A row for each step: `step`, its losses, and crops a second."""
        return read_rows(self.steps_file) + self.new[self.steps_file]

    @property
    def held_out(self) -> list[Row]:
        """A row for each state: `step`, and the losses on held-out audio."""
        return read_rows(self.held_out_file) + self.new[self.held_out_file]

    def cut(self, last: int) -> None:
        """Keep in the files what they hold up to this step; what came after it is done again.

        Raises TrainingError where a file cannot be read or lacks steps.
        """
        for path in self.new:
            rows = read_rows(path) if last else []
            # the last line may be half of one, whose step is then another's
            rows = [row for i, row in enumerate(rows) if i < row["step"] <= last]
            path.unlink(missing_ok=True)
            self._append(path, rows)
            if path == self.steps_file and [row["step"] for row in rows] != list(
                range(1, last + 1)
            ):
                raise TrainingError(
                    f"{path} lacks steps that the state beside it has; begin anew with --fresh"
                )

    def add(self, step: int, losses: Row) -> None:
        self.new[self.steps_file].append({"step": step} | losses)

    def add_held_out(self, step: int, losses: Row) -> None:
        self.new[self.held_out_file].append({"step": step} | losses)

    def write(self) -> None:
        """Append what is new to both files."""
        for path, rows in self.new.items():
            self._append(path, rows)
            rows.clear()

    def _append(self, path: Path, rows: Sequence[Row]) -> None:
        if not rows:
            return
        begun = path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.names, restval="")
            if not begun:
                writer.writeheader()
            writer.writerows({**row, "step": int(row["step"])} for row in rows)

    def draw(self, path: Path) -> bool:
        """The curves as PNG; False where matplotlib is not installed."""
        steps, held_out = self.steps, self.held_out
        if importlib.util.find_spec("matplotlib") is None or not steps:
            return False
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        there = {name for row in steps for name in row}
        names = [name for name in self.names[1:] if name in there and name != SPEED]
        across = min(3, len(names))
        down = -(-len(names) // across)
        figure = Figure(figsize=(4.0 * across, 2.6 * down), layout="constrained")
        for place, name in enumerate(names):
            axes = figure.add_subplot(down, across, place + 1)
            trained = [(row["step"], row[name]) for row in steps if name in row]
            axes.plot(*zip(*_smoothed(trained), strict=True), color="#0072b2", label="training")
            held = [(row["step"], row[name]) for row in held_out if name in row]
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


def read_rows(path: Path) -> list[Row]:
    """A file's rows, without their empty cells; none where there is no file."""
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
