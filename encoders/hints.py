"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

import contextlib
import difflib
import re
from pathlib import Path

from earmark.encoders.catalogue import encoder_names
from earmark.encoders.schemes import SCHEMES, example_of

_OWNER_AND_MODEL = re.compile(r"[\w.-]+/[\w.-]+(@\w+)?")
_ALIASES = {
    "huggingface": "hf", "hugging-face": "hf", "transformers": "hf", "hub": "hf",
    "hear2021": "hear", "torch-audio": "torchaudio", "ta": "torchaudio",
}  # fmt: skip


def nearest(name: str) -> str:
    """A hint for a name that is not known."""
    meant = _way(name) or next(
        iter(difflib.get_close_matches(name, encoder_names(), n=1)), _model(name)
    )
    return f"did you mean {meant!r}?" if meant else "see `run_bench.py list encoders`"


def no_such_output(name: str, place: str) -> str:
    """What is said where `place` of `SCHEME:PLACE` seems to end in an output that nothing has.

    "" where it does not.
    """
    scheme, (head, colon, output) = name.partition(":")[0], place.rpartition(":")
    if not (colon and head) or "/" in output or "\\" in output:  # C:\\models\\mine
        return ""
    known = [one for one in SCHEMES[scheme].outputs if one]
    known += ["layer-6", "layer-all"] if SCHEMES[scheme].layers else []
    close = difflib.get_close_matches(output, known, n=1, cutoff=0.5)
    hint = f"did you mean {f'{scheme}:{head}:{close[0]}'!r}?" if close else example_of(name)
    if not known:
        hint = f"ask for {f'{scheme}:{head}'!r} alone"
    return f"encoder {f'{scheme}:{head}'!r} has no output {output!r}; {hint}"


def _way(name: str) -> str:
    """`hugginface:facebook/x` -> `hf:facebook/x`."""
    prefix, colon, model = name.partition(":")
    if not (colon and model):
        return ""
    known = {one: one for one in SCHEMES} | _ALIASES
    close = difflib.get_close_matches(prefix.lower(), known, n=1, cutoff=0.75)
    return f"{known[close[0]]}:{model}" if close else ""


def _model(name: str) -> str:
    """A folder of a model, or an ID on the hub, or one of torchaudio's bundles, without prefix."""
    with contextlib.suppress(OSError, ValueError):  # what can be no path
        if (Path(name) / "config.json").is_file():
            return f"hf:{name}"
        if _OWNER_AND_MODEL.fullmatch(name) and not Path(name).exists():
            return f"hf:{name}"
    if re.fullmatch(r"(WAV2VEC2|HUBERT|WAVLM|VOXPOPULI|MMS)_[A-Z0-9_]+", name):
        return f"torchaudio:{name}"
    return ""
