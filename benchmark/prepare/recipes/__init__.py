"""Recipes by task; one module a data set."""

from __future__ import annotations

from earmark.benchmark.prepare.recipe import Recipe
from earmark.benchmark.prepare.recipes import (
    crema_d,
    esc50,
    fsd50k,
    gtzan,
    libricount,
    librispeech,
    nsynth,
    ravdess,
    speech_commands_v1,
    urbansound8k,
    vocalsound,
    voxceleb1,
)

RECIPES: dict[str, Recipe] = {
    recipe.task: recipe
    for recipe in (
        crema_d.RECIPE, esc50.RECIPE, fsd50k.RECIPE, gtzan.RECIPE, libricount.RECIPE,
        *librispeech.RECIPES, nsynth.RECIPE, ravdess.RECIPE, speech_commands_v1.RECIPE,
        urbansound8k.RECIPE, vocalsound.RECIPE, voxceleb1.RECIPE,
    )
}  # fmt: skip
