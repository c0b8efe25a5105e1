"""Audio: decode, mono, resample, crop; and what is no usable audio."""

from __future__ import annotations

import io
import struct
import tarfile
import wave

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
from clips import audio_bytes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from earmark.benchmark.audio.containers import mp3_samples
from earmark.benchmark.audio.decode import AudioError, decode
from earmark.benchmark.audio.pipeline import AudioPipeline, cut

RATE = 16_000


def tone(n: int, rate: int = RATE, pitch: float = 440.0, level: float = 0.4) -> np.ndarray:
    return level * np.sin(2 * np.pi * pitch * np.arange(n) / rate)


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    resampled, found = decode(audio_bytes(samples, rate, "wav", "FLOAT"), target)
    assert found == target
    return resampled


def refusal(data: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        decode(data)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


# ---- decode


@pytest.mark.parametrize(
    ("suffix", "subtype", "error"),
    [
        ("wav", "PCM_U8", 2**-7),
        ("wav", "PCM_16", 2**-15),
        ("wav", "PCM_24", 2**-23),
        ("wav", "PCM_32", 2**-24),
        ("wav", "FLOAT", 2**-24),
        ("wav", "DOUBLE", 2**-24),
        ("flac", "PCM_16", 2**-15),
        ("flac", "PCM_24", 2**-23),
        ("ogg", "VORBIS", 0.02),
        ("mp3", None, 0.05),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats(suffix, subtype, error, channels):
    samples = np.stack([tone(20_000, pitch=300 * (c + 1)) for c in range(channels)], axis=1)
    decoded, rate = decode(audio_bytes(samples, RATE, suffix, subtype))
    assert rate == RATE and decoded.dtype == np.float32 and decoded.flags["C_CONTIGUOUS"]
    assert decoded.shape == (20_000,)
    assert np.abs(decoded - samples.mean(axis=1))[1000:-1000].max() <= error


@pytest.mark.parametrize("channels", [2, 3, 8])
def test_mono_is_the_mean_of_the_channels(channels):
    rng = np.random.default_rng(channels)
    samples = rng.uniform(-1, 1, (5000, channels)).astype(np.float32)
    decoded, _ = decode(audio_bytes(samples, RATE, "wav", "FLOAT"))
    assert np.abs(decoded - samples.astype(np.float64).mean(axis=1)).max() < 1e-6


@pytest.mark.parametrize("rate", [8_000, 11_025, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_rates(rate, suffix):
    decoded, found = decode(audio_bytes(tone(rate // 4, rate), rate, suffix))
    assert found == rate and len(decoded) == rate // 4


def test_16_bit_values_are_exact_by_the_standard_library():
    values = np.array([-32768, -32767, -1, 0, 1, 12345, 32767], np.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(values.tobytes())
    assert np.array_equal(decode(buffer.getvalue())[0], values / 32768)


def test_float_beyond_full_scale_is_kept():
    loud = audio_bytes(np.array([3.0, -2.5, 0.5]), RATE, "wav", "FLOAT")
    assert decode(loud)[0].tolist() == [3.0, -2.5, 0.5]


# ---- resample


@pytest.mark.parametrize(
    ("rate", "target"), [(44_100, 16_000), (8_000, 16_000), (48_000, 16_000), (16_000, 24_000),
                         (192_000, 16_000), (22_050, 16_000), (16_000, 44_100)],
)  # fmt: skip
def test_resampled_sine_is_the_sine(rate, target):
    n, pitch = rate, 997.0
    resampled = resample(tone(n, rate, pitch).astype(np.float32), rate, target)
    assert resampled.dtype == np.float32
    assert abs(len(resampled) - n * target / rate) <= 1
    inner = slice(target // 10, -target // 10)
    assert np.abs(resampled - tone(len(resampled), target, pitch))[inner].max() < 2e-4


def test_resample_agrees_with_scipy_on_music_like_sound():
    rng = np.random.default_rng(3)
    low = scipy.signal.firwin(255, 5000, fs=44_100)
    sound = np.convolve(rng.standard_normal(44_100), low, "same").astype(np.float32)
    ours = resample(sound, 44_100, 16_000)
    theirs = scipy.signal.resample_poly(sound.astype(np.float64), 160, 441, window=("kaiser", 12))
    inner = slice(500, -500)
    error = np.abs(ours - theirs[: len(ours)])[inner].max()
    assert error < 2e-3 * np.abs(theirs).max()


def test_what_is_above_the_new_nyquist_goes():
    resampled = resample(tone(44_100, 44_100, 12_000.0).astype(np.float32), 44_100, 16_000)
    assert np.abs(resampled[500:-500]).max() < 1e-4


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3000),
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000]),
    target=st.sampled_from([8_000, 16_000, 24_000, 44_100]),
)
@example(n=1, rate=192_000, target=8_000)
def test_length_after_resampling(n, rate, target):
    resampled = resample(np.full(n, 0.25, np.float32), rate, target)
    assert max(1, n * target / rate - 1) <= len(resampled) <= n * target / rate + 1


def test_equal_rates_change_nothing():
    samples = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    assert np.array_equal(resample(samples, RATE, RATE), samples)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_a_long_recording_is_read_in_blocks_to_the_same_bits(suffix):
    n = (1 << 21) + 77_777  # three blocks
    sound = np.random.default_rng(1).uniform(-0.3, 0.3, (n, 2))
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 44_100, 2, format=suffix.upper()) as file:
        for start in range(0, n, 1 << 16):  # libsndfile overflows its stack on more, in Vorbis
            file.write(sound[start : start + (1 << 16)])
    data = buffer.getvalue()
    whole, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    mono = whole.mean(axis=1, dtype=np.float32)
    assert np.array_equal(decode(data)[0], mono)
    expected = soxr.resample(mono, rate, RATE, quality="HQ")
    assert np.array_equal(decode(data, RATE)[0], expected)


# ---- crops


@given(n=st.integers(1, 500), crop=st.one_of(st.none(), st.integers(1, 120)))
def test_crops_are_consecutive_and_whole(n, crop):
    samples = np.arange(n, dtype=np.float32)
    crops = cut(samples, crop)
    if crop is None or n < crop:
        assert len(crops) == 1 and np.array_equal(crops[0], samples)
        return
    assert len(crops) == n // crop and all(len(one) == crop for one in crops)
    assert np.array_equal(np.concatenate(crops), samples[: len(crops) * crop])


def test_pipeline_crops_after_resampling():
    data = audio_bytes(tone(int(2.9 * 44_100), 44_100, 500.0), 44_100)
    crops = AudioPipeline(RATE, crop_seconds=1.25).crops(data)
    assert [len(crop) for crop in crops] == [20_000, 20_000]
    both = np.concatenate(crops)
    assert np.abs(both - tone(40_000, RATE, 500.0))[500:].max() < 2e-4
    whole = AudioPipeline(RATE).crops(data)
    assert len(whole) == 1 and np.array_equal(whole[0][:40_000], both)


def test_facts_tell_pipelines_apart():
    pipelines = [AudioPipeline(RATE), AudioPipeline(24_000), AudioPipeline(RATE, 5.0)]
    assert len({str(sorted(p.facts().items(), key=str)) for p in pipelines}) == 3


# ---- what is no usable audio


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_nan_and_infinity(bad, channels):
    samples = np.full((1000, channels), 0.1, np.float32)
    samples[[3, 500], channels - 1] = bad
    message = refusal(audio_bytes(samples, RATE, "wav", "FLOAT"))
    assert "2 of 1000" in message and "NaN" in message


def test_empty_and_garbage():
    assert refusal(b"") == "empty file"
    rng = np.random.default_rng(4)
    for data in (b"\0" * 5000, rng.bytes(5000), b"<html>not found</html>", b"RIFF", b"fLaC", b"O"):
        refusal(data)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_header_without_samples(suffix):
    assert refusal(audio_bytes(np.zeros(0), RATE, suffix))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "au"])
def test_cut_files(suffix, channels):
    noise = np.random.default_rng(5).uniform(-0.3, 0.3, (30_000, channels))
    data = audio_bytes(noise, RATE, suffix)
    for share in (0.001, 0.1, 0.37, 0.5, 0.8, 0.99):
        refusal(data[: int(share * len(data))])
    refusal(data[:-1])


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95, 0.999])
def test_cut_ogg(share):
    data = audio_bytes(np.random.default_rng(6).uniform(-0.3, 0.3, 60_000), RATE, "ogg")
    refusal(data[: int(share * len(data))])


def ends_its_stream(data: bytes) -> bool:
    """Whether the pages of an Ogg file fill it and the last has the end-of-stream flag."""
    position, flags = 0, 0
    while position < len(data):
        assert data[position : position + 4] == b"OggS"
        flags, segments = data[position + 5], data[position + 26]
        position += 27 + segments + sum(data[position + 27 : position + 27 + segments])
    return position == len(data) and bool(flags & 4)


def test_whole_ogg_files_end_their_stream(real_data):
    """What makes the flag a sound sign: every file at hand has it, a cut one has not."""
    for path in sorted((real_data / "esc50").glob("*.tar")):
        with tarfile.open(path) as tar:
            sounds = [tar.extractfile(m) for m in tar if m.name.endswith(".ogg")]
            assert len(sounds) == 80 and all(ends_its_stream(s.read()) for s in sounds if s)
    for n in (1, 1000, 500_000):
        written = audio_bytes(np.random.default_rng(7).uniform(-0.3, 0.3, n), RATE, "ogg")
        assert ends_its_stream(written)


def test_cut_wav():
    assert "cut short: 7000 of 8000 bytes" in refusal(audio_bytes(tone(4000), RATE)[:-1000])


def test_cut_au():
    values = np.arange(1000, dtype=">i2").tobytes()
    for size, said in ((2000, None), (0xFFFFFFFF, None), (2001, "cut short: 2000 of 2001 bytes")):
        data = struct.pack(">4sIIIII", b".snd", 24, size, 3, RATE, 1) + values
        if said is None:
            assert np.array_equal(decode(data)[0], np.arange(1000) / 32768)
        else:
            assert said in refusal(data)


def wav(data_size: int, samples: bytes, chunks: bytes = b"") -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + form + chunks + struct.pack("<4sI", b"data", data_size) + samples
    return struct.pack("<4sI", b"RIFF", min(len(body), 0xFFFFFFFF)) + body


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFF0])
def test_wav_of_unknown_length_is_accepted(size):
    values = np.arange(1000, dtype=np.int16)
    decoded, _ = decode(wav(size, values.tobytes()))
    assert np.array_equal(decoded, values / 32768)


def test_wav_with_other_chunks_around_the_samples():
    values = np.arange(1000, dtype=np.int16)
    note = struct.pack("<4sI", b"LIST", 7) + b"INFOabc" + b"\0"  # of odd size, so padded
    plain = wav(2000, values.tobytes(), note)
    for data in (plain, plain + note):
        assert np.array_equal(decode(data)[0], values / 32768)
    assert "cut short" in refusal(plain[:60])


def test_flac_that_does_not_state_its_length():
    data = bytearray(audio_bytes(tone(9000), RATE, "flac"))
    data[8 + 13] &= 0xF0
    data[8 + 14 : 8 + 18] = bytes(4)  # STREAMINFO's 36 bits of total samples: 0 for unknown
    assert "does not state its length" in refusal(bytes(data))


def test_flac_that_states_far_too_much():
    data = bytearray(audio_bytes(tone(9000), RATE, "flac"))
    data[8 + 13] |= 0x0F
    data[8 + 14 : 8 + 18] = b"\xff" * 4  # 256 GB of samples
    refusal(bytes(data))


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_without_a_length_header_is_read_whole_or_refused_as_such(mode):
    samples = tone(100_000, 44_100)
    samples[50_000:] += np.random.default_rng(0).uniform(-0.3, 0.3, 50_000)
    file = io.BytesIO()
    soundfile.write(file, samples, 44_100, format="MP3", bitrate_mode=mode, compression_level=0.5)
    data = file.getvalue()
    kilobits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[data[2] >> 4]
    header = 144_000 * kilobits // 44_100 + (data[2] >> 1 & 1)  # the first frame's length
    assert b"Xing" in data[:header] or b"Info" in data[:header]
    if mode == "VARIABLE":  # libsndfile stops at the length it guesses from the first frame
        assert "does not state its length" in refusal(data[header:])
    else:
        decoded, _ = decode(data[header:])
        assert abs(len(decoded) - 100_000) < 4 * 1152  # unlike with the header, the padding stays


@pytest.mark.parametrize("rate", [44_100, 32_000, 22_050, 11_025])
def test_samples_of_an_mp3_are_counted_by_its_frames(rate):
    data = audio_bytes(tone(60_000, rate), rate, "mp3")
    # one frame more holds the header that states the length, and up to two the codec's delay
    assert 60_000 <= mp3_samples(data) <= 60_000 + 5 * 1152
    assert mp3_samples(b"ID3\x04\0\0\0\0\0\x05abcde" + data) == mp3_samples(data)
    assert mp3_samples(data[: len(data) // 2]) < 0.6 * mp3_samples(data)
    assert mp3_samples(b"no frame") == 0


@settings(max_examples=120, deadline=None)
@given(
    suffix=st.sampled_from(["wav", "flac", "ogg", "mp3", "au"]),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8),
    head=st.booleans(),
)
def test_damage_ends_in_samples_or_in_audio_error(suffix, flips, head):
    data = bytearray(WHOLE[suffix])
    for place, change in flips:
        data[int(place * ((200 if head else len(data)) - 1))] ^= change
    try:
        samples, rate = decode(bytes(data))
    except AudioError:
        return
    assert rate > 0 and len(samples) > 0 and np.isfinite(samples).all()


WHOLE = {
    suffix: audio_bytes(tone(3000), RATE, suffix) for suffix in ("wav", "flac", "ogg", "mp3", "au")
}


def test_real_clips_have_the_length_their_header_states(real_data):
    for path, count in (
        ("esc50/wds-audio-fold-2-000000.tar", 80),
        ("librispeech/dev-clean-000000.tar", 5),
        ("fsdd/fsdd_fold_0_0000000.tar", 100),
    ):
        with tarfile.open(real_data / path) as tar:
            members = [m for m in tar if not m.name.endswith(".json")][:count]
            for info in members:
                file = tar.extractfile(info)
                assert file is not None
                data = file.read()
                samples, rate = decode(data)
                stated = soundfile.info(io.BytesIO(data))
                assert (len(samples), rate) == (stated.frames, stated.samplerate)


@pytest.mark.parametrize("rate", [1, 500, 2_000_000])
def test_absurd_sample_rates_are_refused(rate):
    data = bytearray(audio_bytes(np.zeros(100), RATE))
    data[24:28] = struct.pack("<I", rate)
    assert f"{rate} Hz" in refusal(bytes(data))


@pytest.mark.parametrize(("suffix", "channels"), [("wav", 1), ("wav", 2), ("au", 1), ("au", 3)])
def test_samples_of_16_bits_are_the_floats_that_libsndfile_makes(suffix, channels):
    """Every value there is, to the bit."""
    values = np.arange(-(2**15), 2**15, dtype=np.int16)
    samples = np.stack([np.roll(values, 7 * i) for i in range(channels)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=suffix.upper(), subtype="PCM_16")
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32", always_2d=True)
    mono = expected[:, 0] if channels == 1 else expected.mean(axis=1, dtype=np.float32)
    found, rate = decode(file.getvalue())
    assert rate == 16_000 and found.tobytes() == mono.tobytes()
