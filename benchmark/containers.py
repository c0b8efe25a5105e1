"""What an audio file's container says of its length, where libsndfile does not ask it.

libsndfile reads a WAV or Ogg that was cut without a word, and guesses the length of an MP3 that
does not state it.
"""

from __future__ import annotations

import struct

# A WAV written to a pipe states sizes from here on where it does not know its length.
_UNKNOWN_LENGTH = 0x7FFF0000

# MPEG audio, layer III: kbit/s by index, for version 1 and for versions 2 and 2.5; Hz of version 1
_RATES_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ = (44_100, 48_000, 32_000)
_LAYER_III, _V1, _V2_5, _RESERVED = 1, 3, 0, 1


def wav_fault(data: bytes) -> str | None:
    """Why a WAV is not whole, in a few words; None where it is, and for other formats."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name == b"data":
            there = len(data) - position - 8
            if there < size < _UNKNOWN_LENGTH:
                return f"cut short: {there} of {size} bytes of samples"
            return None
        position += 8 + size + size % 2
    return "cut short: no samples after the header"


def ogg_fault(data: bytes) -> str | None:
    """Why an Ogg is not whole: the last page of a whole one says so (RFC 3533, section 6)."""
    if data[:4] != b"OggS":
        return None
    position, flags = 0, 0
    while position + 27 <= len(data) and data[position : position + 4] == b"OggS":
        flags, segments = data[position + 5], data[position + 26]
        table = data[position + 27 : position + 27 + segments]
        position += 27 + segments + sum(table)
    if position != len(data) or not flags & 4:
        return "cut short: its last page does not end the stream"
    return None


def au_fault(data: bytes) -> str | None:
    """Why an AU is not whole, in a few words; None where it is, and for other formats.

    Its header (Sun's, big-endian): magic, where the samples begin, how many bytes they are or -1.
    """
    if data[:4] != b".snd":
        return None
    if len(data) < 12:
        return "cut short: no samples after the header"
    begin, size = struct.unpack_from(">II", data, 4)
    there = len(data) - begin
    if there < size < _UNKNOWN_LENGTH:
        return f"cut short: {max(there, 0)} of {size} bytes of samples"
    return None


def mp3_states_its_length(data: bytes) -> bool:
    """Whether the first frame of an MP3 counts the frames (a Xing, Info or VBRI header)."""
    start = _after_id3(data)
    head = data[start : start + 256]
    return any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def mp3_samples(data: bytes) -> int:
    """Samples in all whole frames of an MP3, counted by their headers (ISO/IEC 11172-3, 2.4.1)."""
    position, samples = _after_id3(data), 0
    while position + 4 <= len(data):
        sync, kind, rates = data[position], data[position + 1], data[position + 2]
        version, layer = kind >> 3 & 3, kind >> 1 & 3
        index, hertz = rates >> 4, rates >> 2 & 3
        broken = sync != 0xFF or kind < 0xE0 or layer != _LAYER_III or version == _RESERVED
        if broken or index in (0, 15) or hertz == 3:
            break  # a tag at the end, or no frame at all
        first = version == _V1
        bits = 1000 * (_RATES_V1 if first else _RATES_V2)[index]
        rate = _HERTZ[hertz] // (1 if first else 4 if version == _V2_5 else 2)
        count = 1152 if first else 576
        position += count // 8 * bits // rate + (rates >> 1 & 1)
        if position <= len(data):
            samples += count
    return samples


def _after_id3(data: bytes) -> int:
    """Where the frames begin: after an ID3v2 tag, whose size is four bytes of 7 bits each."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
