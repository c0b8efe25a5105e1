"""Speech, sounds and music made by procedure, for `--data synthetic`.

A codec's loss on them says that the harness works and how codecs differ on made-up audio, nothing
more: results are marked and stand in tables of their own.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import soundfile

from earmark.benchmark.reconstruction.clips import ClipFile, ClipSet
from earmark.benchmark.synthetic.instruments import piece
from earmark.benchmark.synthetic.music import GTZAN
from earmark.benchmark.synthetic.recipe import Draw
from earmark.benchmark.synthetic.signals import Array, Generator, record, unit
from earmark.benchmark.synthetic.sound import ESC50
from earmark.benchmark.synthetic.speech import BOOK, any_speaker
from earmark.benchmark.synthetic.voices import VOICE_RATE, phones_of, say, varied

CLIPS = 20  # of each kind
_SECONDS = 4.0


def synthetic_materials() -> list[ClipSet]:
    """20 clips each of speech (10 speakers), sounds (20 classes) and music (20 pieces)."""
    makers: dict[str, tuple[Callable[[int], tuple[Array, int]], str, int]] = {
        "speech": (_speech, "speaker", 10),
        "sound": (_sound, "recording", CLIPS),
        "music": (_music, "track", CLIPS),
    }
    return [
        ClipSet(
            f"synthetic-{kind}",
            "synthetic",
            tuple(
                ClipFile(
                    f"{kind}-{i:02d}", f"{unit_name}-{i % sources:02d}", partial(_wav, make, i)
                )
                for i in range(CLIPS)
            ),
            unit_name,
            synthetic=True,
            place="synthetic",
        )
        for kind, (make, unit_name, sources) in makers.items()
    ]


def _wav(make: Callable[[int], tuple[Array, int]], number: int) -> bytes:
    samples, rate = make(number)
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _draw(kind: str, *names: object) -> Generator:
    return Draw(f"reconstruction-{kind}")(*names)


def _speech(number: int) -> tuple[Array, int]:
    """Two sentences."""
    rng = _draw("speech", "clip", number)
    speaker = varied(any_speaker(_draw("speech", "speaker", number % 10)), rng)
    said = [say(phones_of(BOOK[i]), speaker, rng) for i in rng.choice(len(BOOK), 2, replace=False)]
    pause = np.zeros(VOICE_RATE // 4)
    spoken = np.concatenate([said[0], pause, said[1], pause])
    return record(spoken, rng, VOICE_RATE, depth=1.0, snr=(25, 40)), VOICE_RATE


def _sound(number: int) -> tuple[Array, int]:
    rng, rate = _draw("sound", number), 44_100
    make = list(ESC50.values())[number % len(ESC50)]
    return record(unit(make(rng, int(_SECONDS * rate), rate)), rng, rate, depth=1.5), rate


def _music(number: int) -> tuple[Array, int]:
    rng, rate = _draw("music", number), 22_050
    style = list(GTZAN.values())[number % len(GTZAN)]
    music = piece(style, rng, int(_SECONDS * rate), rate, _draw("music", "track", number))
    return record(music, rng, rate, depth=1.2, snr=(20, 40)), rate
