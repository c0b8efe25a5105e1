"""Synthetic twins: small data sets made by procedure, in the shape of the real ones.

`--data synthetic` runs the whole pipeline on them where no real data is at hand. Their labels are
carried by audible structure, so that encoders differ on them, but a score on a twin says nothing
about the real task and must never stand beside one.

    synthesise   task -> folder of shards
    Draw         seeds; all start with SEED
    signals      noise, tones, filters, the chain of a recording
    voices       glottal pulses through formants, phones, speakers
    nature, instruments   sounds of things; notes and drums
    speech, people, sound, music   one short recipe a task
    scenes, piano, captions, spelling   events, notes, captions and transcripts, a task each
"""

from earmark.benchmark.synthetic.recipe import SEED
from earmark.benchmark.synthetic.twins import RECIPES, VERSION, has_twin, is_twin, synthesise

__all__ = ["RECIPES", "SEED", "VERSION", "has_twin", "is_twin", "synthesise"]
