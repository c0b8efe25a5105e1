"""Audio that only begins well: damaged within, several files in one, headers that say 0 bytes."""

from __future__ import annotations

import hashlib
import struct
import tarfile

import numpy as np
import pytest
from clips import audio_bytes, clip_members

from earmark import evaluate
from earmark.benchmark.audio.decode import AudioError, decode

RATE = 16_000
NOISE = np.random.default_rng(3).uniform(-0.3, 0.3, 30_000)


def refusal(data: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- a WAV whose recorder died


def wav(size: int, samples: bytes, riff: int, after: bytes = b"") -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", size) + samples + after
    return struct.pack("<4sI", b"RIFF", riff) + body


@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("count", [1, 3, 4, 1000])
def test_a_wav_that_states_0_bytes_is_read_to_its_end(riff, count):
    values = np.arange(1, count + 1, dtype="<i2")
    assert np.array_equal(decode(wav(0, values.tobytes(), riff))[0], values / 32768)


def test_an_empty_wav_with_other_chunks_behind_is_empty():
    for note in (b"", struct.pack("<4sI", b"LIST", 4) + b"INFO"):
        assert refusal(wav(0, b"", 36 + len(note), note)) == "no samples"


def test_that_it_was_read_to_its_end_is_said_once(toy, tmp_path, capsys):
    values = np.arange(8000, dtype="<i2").tobytes()
    bad = [
        m for i in range(3) for m in clip_members(f"r9-{i}", wav(0, values, 0), {"label": "low"})
    ]
    task, data = toy(extra={"train": bad})
    (result,) = evaluate(
        "logmel", str(task), data=data, results=tmp_path / "r", seeds=1, device="cpu"
    )
    assert result.status == "done" and result.data.items["train"] == 43
    assert capsys.readouterr().err.count("states 0 bytes of samples") == 1


# ---- several in a row


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "au"])
def test_several_files_in_one_are_refused_as_such(suffix):
    first, second = audio_bytes(NOISE, RATE, suffix), audio_bytes(-NOISE, RATE, suffix)
    assert len(decode(first)[0]) == 30_000
    assert "in a row" in refusal(first + second)


def test_two_mp3s_with_tags_between_are_refused_as_such():
    one = audio_bytes(NOISE, RATE, "mp3")
    tag = b"TAG" + bytes(125)
    for between in (tag, b"ID3\4\0\0\0\0\0\5abcde", tag + b"ID3\4\0\0\0\0\0\5abcde"):
        assert "several MP3s in a row: 30000 samples stated" in refusal(one + between + one)
    assert np.array_equal(decode(one + tag)[0], decode(one)[0])


# ---- damage within


@pytest.mark.parametrize(
    ("subtype", "channels"), [("PCM_S8", 1), ("PCM_16", 1), ("PCM_16", 2), ("PCM_24", 2)]
)
def test_a_flac_is_held_by_its_md5(subtype, channels):
    """Worked out here from the whole numbers that were put in, as RFC 9639 describes it."""
    bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}[subtype]
    rng = np.random.default_rng(bits)
    numbers = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (9000, channels))
    data = bytearray(audio_bytes(numbers / 2 ** (bits - 1), RATE, "flac", subtype))
    little = b"".join(int(n).to_bytes(bits // 8, "little", signed=True) for n in numbers.flat)
    assert data[26:42] == hashlib.md5(little).digest()
    expected = (numbers / 2 ** (bits - 1)).mean(axis=1)
    assert np.abs(decode(bytes(data))[0] - expected).max() < 1e-7
    stated = bytes(data[26:42])
    for wrong in (stated[::-1], b"\1" + bytes(15)):
        data[26:42] = wrong
        assert "MD5" in refusal(bytes(data))
    data[26:42] = bytes(16)  # not stated
    assert np.abs(decode(bytes(data))[0] - expected).max() < 1e-7


def test_a_page_of_an_ogg_is_held_by_its_checksum():
    whole = audio_bytes(NOISE, RATE, "ogg")
    decode(whole)
    rng = np.random.default_rng(0)
    for place in rng.integers(60, len(whole), 40):
        data = bytearray(whole)
        data[place] ^= 1
        refusal(bytes(data))


def test_whole_files_stay_whole(real_data):
    for name, suffix, count in (
        ("esc50/wds-audio-fold-1-000000.tar", "ogg", 80),
        ("librispeech/dev-clean-000000.tar", "flac", 40),
    ):
        with tarfile.open(real_data / name) as tar:
            members = [m for m in tar if m.name.endswith(suffix)][:count]
            assert len(members) == count
            for member in members:
                file = tar.extractfile(member)
                assert file is not None
                assert len(decode(file.read())[0]) > 0
