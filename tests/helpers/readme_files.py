"""The READMEs: their blocks, commands and links; and a folder in which their commands run."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from clips import REPOSITORY, audio_bytes, clip_members, write_tar
from original_trees import esc50

READMES = sorted(
    [REPOSITORY / "README.md"]
    + [
        path
        for folder in ("benchmark", "encoders", "results", "tasks")
        for path in (REPOSITORY / folder).rglob("README.md")
    ]
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:python|pip|pytest|torchrun|earmark) [^`]+)`")


class Command(NamedTuple):
    """One command of a README: where it stands, its words, whether it is a line of a block."""

    readme: str
    words: tuple[str, ...]
    in_block: bool

    def __str__(self) -> str:
        return shlex.join(self.words)


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of one language; "" are those without."""
    return [body for found, body in _FENCED.findall(text) if found == language]


def block(text: str, start: str) -> str:
    """The code block, of whatever language, that begins with `start`."""
    (found,) = [body for _, body in _FENCED.findall(text) if body.startswith(start)]
    return str(found)


def example_files() -> dict[str, str]:
    """The Python blocks of the encoders' README that begin with the name of a file, by it."""
    text = (REPOSITORY / "encoders" / "README.md").read_text(encoding="utf-8")
    return {
        body.splitlines()[0][2:]: body
        for body in blocks(text, "python")
        if re.match(r"# \w+\.py\n", body)
    }


def without_blocks(text: str) -> str:
    return _FENCED.sub("", text)


def commands() -> Iterator[Command]:
    """Every command of every README, in order; those of `bash` blocks before those in sentences."""
    for path in READMES:
        name, text = str(path.relative_to(REPOSITORY)), path.read_text(encoding="utf-8")
        for body in blocks(text, "bash"):
            for line in body.replace("\\\n", " ").splitlines():
                lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
                lexer.whitespace_split = True
                words: list[str] = []
                for word in [*lexer, "&&"]:
                    if word != "&&":
                        words.append(word)
                    elif words:
                        yield Command(name, tuple(words), True)
                        words = []
        for span in _INLINE.findall(without_blocks(text)):
            yield Command(name, tuple(shlex.split(span)), False)


def _noise(seconds: float, seed: int) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16_000))
    return audio_bytes(samples, 16_000)


def _shards(folder: Path) -> None:
    """Stand-ins for the real data: the tasks' shards, keys and fields; 0.2 s of noise a clip."""
    for fold in range(5):
        esc, digits = [], []
        for i in range(8):
            number = 10 * fold + i
            esc += clip_members(f"{fold + 1}-{number}-A", _noise(0.2, number), {"label": i % 2})
            facts = {"digit": i % 2, "speaker": f"s{i}"}
            digits += clip_members(f"{i % 2}_s{i}_{fold}", _noise(0.2, 100 + number), facts)
        write_tar(folder / "esc50" / f"wds-audio-fold-{fold + 1}-000000.tar", esc)
        write_tar(folder / "fsdd" / f"fsdd_fold_{fold}_0000000.tar", digits)
    for part, name in enumerate(("train-clean-100", "dev-clean", "test-clean")):
        members = []
        for i in range(8):
            facts = {"gender": "MF"[i % 2], "trans": "HE GAVE NO ANSWER"}
            key = f"{10 * part + i}-1-{i:04d}"
            members += clip_members(key, _noise(0.6, 200 + 10 * part + i), facts)
        write_tar(folder / "librispeech" / f"{name}-000000.tar", members)


def _many(here: Path) -> None:
    """What the README of many models at once makes: a folder of transformers, a module of HEAR."""
    text = (REPOSITORY / "encoders" / "adapters" / "README.md").read_text(encoding="utf-8")
    (here / "my_hear.py").write_text(block(text, "# my_hear.py"))
    with contextlib.chdir(here):
        exec(block(text, "# make_hubert.py"), {})


def make_workplace(root: Path, encoder: str, table: str) -> tuple[Path, dict[str, bytes]]:
    """A folder like a checkout, with all that commands name, and data beside it.

    encoder: text of my_encoder.py. table: text of clips.csv. Returns the folder to run in, and the
    files of the Zenodo record of ESC-50.
    """
    here = root / "checkout"
    (here / "results").mkdir(parents=True)
    links = [
        "benchmark",
        "encoders",
        "tasks",
        "tests",
        "results/golden",
        "results/controls",
        "results/published",
    ]
    for name in links:
        (here / name).symlink_to(REPOSITORY / name)
    (here / "out").mkdir()
    tiny = REPOSITORY / "encoders" / "dasheng" / "tiny"
    for name, trained in (("encoder", "encoder"), ("injection", "unified")):
        (here / "out" / trained).symlink_to(tiny)  # what hours of training make
        lines = (tiny / f"{name}.yaml").read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("shares")]
        (here / f"{name}.yaml").write_text("".join(kept))
    _shards(root / "shared" / "data")
    (here / "shards").symlink_to(root / "shared" / "data" / "esc50")
    for folder in ("my_recordings", "my_test_recordings"):
        (here / folder).mkdir()
        (here / folder / "one.wav").write_bytes(_noise(1.5, 1))
    (here / "my_encoder.py").write_text(encoder)
    for name, body in example_files().items():
        (here / name).write_text(body)
    _many(here)
    (here / "path" / "to").mkdir(parents=True)
    for name in ("my_task.yaml", "path/to/my_task.yaml"):
        (here / name).write_text((REPOSITORY / "tests/data/fsdd.yaml").read_text())
    (here / "clips.csv").write_text(table)
    for row in table.splitlines()[1:]:
        path = here / "recordings" / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_noise(0.3, len(row)))
    (here / "audio").symlink_to(here / "recordings")
    esc50(here / "ESC-50-master")
    record = {path.name: path.read_bytes() for path in (here / "shards").iterdir()}
    return here, record
