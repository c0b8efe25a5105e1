"""What an audio file's container says of its length, where libsndfile does not ask it.

libsndfile reads a WAV or Ogg that was cut without a word, and guesses the length of an MP3 that
does not state it.
"""

from __future__ import annotations

import struct
import zlib

# A WAV written to a pipe states sizes from here on where it does not know its length.
_UNKNOWN_LENGTH = 0x7FFF0000

# MPEG audio, layer III: kbit/s by index, for version 1 and for versions 2 and 2.5; Hz of version 1
_RATES_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ = (44_100, 48_000, 32_000)
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bits of a byte turned round
# A FLAC's beginning: its mark, and STREAMINFO of 34 bytes, which may be the last metadata block
_FLAC_STARTS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
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


def wav_without_size(data: bytes) -> int | None:
    """Where a WAV states that it has 0 bytes of samples though there are some; else None.

    A recorder writes the size when it stops; one that died left 0. A WAV that is empty indeed may
    have other chunks behind, which then fill it to the end. Returns the place of the size's field.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name == b"data":
            rest = data[position + 8 :] if size == 0 else b""
            return position + 4 if rest and not _is_chunks(rest) else None
        position += 8 + size + size % 2
    return None


def _is_chunks(data: bytes) -> bool:
    """Whether bytes are RIFF chunks from their beginning to their end."""
    position = 0
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if not all(0x20 <= byte < 0x7F for byte in name):
            return False
        position += 8 + size + size % 2
    return position - len(data) in (0, 1)  # the last may lack its padding


def ogg_fault(data: bytes) -> str | None:
    """Why an Ogg is not whole and one: the last page of a whole one says so (RFC 3533, section 6).

    A page whose checksum is wrong is left out by the decoder without a word, and of several
    streams in a row only the first is read.
    """
    if data[:4] != b"OggS":
        return None
    position, flags, pages, ended = 0, 0, 0, False
    while position + 27 <= len(data) and data[position : position + 4] == b"OggS":
        flags, segments = data[position + 5], data[position + 26]
        if ended and flags & 2:
            return "several Ogg streams in a row; make each a file of its own"
        ended = ended or bool(flags & 4)
        table = data[position + 27 : position + 27 + segments]
        page = data[position : position + 27 + segments + sum(table)]
        position += 27 + segments + sum(table)
        pages += 1
        if position <= len(data) and _ogg_checksum(page) != page[22:26]:
            return f"damaged: its page {pages} is not what its checksum says"
    if position != len(data) or not flags & 4:
        return "cut short: its last page does not end the stream"
    return None


def _ogg_checksum(page: bytes) -> bytes:
    """CRC of a page as it stores it: polynomial 0x04c11db7, highest bit first, from 0.

    zlib's has the same polynomial, lowest bit first, from all ones and inverted; with the bits of
    every byte turned round it is the same.
    """
    turned = (page[:22] + bytes(4) + page[26:]).translate(_TURNED)
    crc = zlib.crc32(turned, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_TURNED)


def flac_fault(data: bytes) -> str | None:
    """Whether a second FLAC follows the first, of which alone the decoder would read."""
    if data[:4] == b"fLaC" and any(start in data[4:] for start in _FLAC_STARTS):
        return "several FLACs in a row; make each a file of its own"
    return None


def flac_md5(data: bytes) -> bytes | None:
    """MD5 of its samples as a FLAC states it in STREAMINFO; None where it does not (zeros)."""
    if data[:4] != b"fLaC" or len(data) < 42 or data[4] & 0x7F != 0:
        return None
    return data[26:42] if any(data[26:42]) else None


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
    if size < there and data[begin + size : begin + size + 4] == b".snd":
        return "several AUs in a row; make each a file of its own"
    if there < size < _UNKNOWN_LENGTH:
        return f"cut short: {max(there, 0)} of {size} bytes of samples"
    return None


def mp3_states_its_length(data: bytes) -> bool:
    """Whether the first frame of an MP3 counts the frames (a Xing, Info or VBRI header)."""
    start = _after_id3(data)
    head = data[start : start + 256]
    return any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def mp3_fault(data: bytes, stated: int) -> str | None:
    """Whether more follows an MP3 that states its length: the decoder stops at `stated` samples."""
    end = _mp3_walk(data, _after_id3(data))
    more = data[end[0] + 128 :] if data[end[0] : end[0] + 3] == b"TAG" else data[end[0] :]
    there = end[1] + (mp3_samples(more) if more[:3] == b"ID3" or more[:1] == b"\xff" else 0)
    if there > stated + 4 * 1152:
        return f"several MP3s in a row: {stated} samples stated, {there} there; make each a file"
    return None


def mp3_samples(data: bytes) -> int:
    """Samples in all whole frames of an MP3, counted by their headers (ISO/IEC 11172-3, 2.4.1)."""
    return _mp3_walk(data, _after_id3(data))[1]


def _mp3_walk(data: bytes, position: int) -> tuple[int, int]:
    """Where the chain of frames that begins at `position` ends, and the samples in whole ones."""
    samples = 0
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
    return position, samples


def _after_id3(data: bytes) -> int:
    """Where the frames begin: after an ID3v2 tag, whose size is four bytes of 7 bits each."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
