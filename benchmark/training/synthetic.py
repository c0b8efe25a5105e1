"""Speech, sounds and music made by procedure, to train on: what no benchmark twin contains.

The recipes are those of the twins, every one, from a seed of their own: other voices, rooms,
instruments, sentences in time and noise. A model trained on it knows the twins' manner, and its
card must say so; it has heard no clip of them.
"""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import soundfile

from earmark.benchmark.reconstruction.clips import ClipFile, ClipSet
from earmark.benchmark.synthetic import RECIPES
from earmark.benchmark.synthetic.recipe import Draw, SyntheticClip
from earmark.tasks import builtin_tasks

TRAINING_SEED = 20_260_223


def training_clips(limit: int | None = None) -> ClipSet:
    """Every recipe's clips under TRAINING_SEED. limit: at most so many of each, evenly taken."""
    clips = []
    for name, recipe in sorted(RECIPES.items()):
        draw = Draw(name, TRAINING_SEED)
        plan = recipe(builtin_tasks()[name], draw)
        made = [clip for part in plan.values() for clip in part]
        step = 1 if limit is None else max(1, -(-len(made) // limit))
        for number, clip in enumerate(made[::step]):
            key = f"{name}/{number:05d}"
            clips.append(ClipFile(key, key, partial(_wav, clip, draw)))
    return ClipSet("synthetic", "synthetic", tuple(clips), synthetic=True, place="synthetic")


def _wav(clip: SyntheticClip, draw: Draw) -> bytes:
    samples = clip.render(draw("clip", clip.key))
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), clip.sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
