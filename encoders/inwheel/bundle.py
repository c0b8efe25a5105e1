"""Checkpoints of TensorFlow ("tensor bundles"), read without it: an index and a file of values.

The index is a table of LevelDB (its table_format.md) whose values are messages BundleEntryProto of
TensorFlow's tensor_bundle.proto. Only tables without compression and tensors of float32 are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

FOOTER = 48  # bytes
MAGIC = 0xDB4775248B80FB57
_FLOAT32 = 1  # of TensorFlow's DataType
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # of protocol buffers
_Value = int | bytes


@dataclass(frozen=True)
class Entry:
    """Where a tensor's values are: kind of number, shape, and bytes of the data file."""

    dtype: int
    shape: tuple[int, ...]
    offset: int
    size: int


def read_bundle(index: bytes, data: bytes, *, without: str = "/Adam") -> dict[str, torch.Tensor]:
    """Every float32 tensor of a checkpoint by its name.

    without: names that hold this are left out (Adam's averages, of the training). Raises
    ValueError for what is damaged or of another kind.
    """
    try:
        entries = _entries(index)
        found = {}
        for name, entry in entries.items():
            if entry.dtype != _FLOAT32 or without in name:
                continue
            values = data[entry.offset : entry.offset + entry.size]
            if len(values) != entry.size or entry.size != 4 * prod(entry.shape):
                raise ValueError(f"{name} is not where the index says")
            numbers = np.frombuffer(values, "<f4").astype(np.float32)  # a copy that may be written
            found[name] = torch.from_numpy(numbers).reshape(entry.shape)
        return found
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("its index is cut off or damaged") from error


def _entries(index: bytes) -> dict[str, Entry]:
    """Name -> entry of an index file."""
    if len(index) < FOOTER or struct.unpack("<Q", index[-8:])[0] != MAGIC:
        raise ValueError("its index is no table of LevelDB")
    position = len(index) - FOOTER
    for _ in range(2):  # of the meta index, which is not needed
        _, position = _varint(index, position)
    blocks = _block(index, *_handle(index, position))
    return {
        key.decode(): _entry(value)
        for _, handle in blocks
        for key, value in _block(index, *_handle(handle, 0))
        if key  # the header has none
    }


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned number of seven bits a byte, the least first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("its index holds a number of more than 64 bits")


def _handle(data: bytes, position: int) -> tuple[int, int]:
    """Offset and size of a block."""
    offset, position = _varint(data, position)
    return offset, _varint(data, position)[0]


def _block(index: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    """Keys and values of a block. After it come a byte (its compression) and a checksum."""
    if index[offset + size] != 0:
        raise ValueError("its index is compressed")
    block = index[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 * (restarts + 1)  # before the offsets at which keys are written in full
    position, key, found = 0, b"", []
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + own]
        value = block[position + own : position + own + length]
        position += own + length
        if position > end:
            raise ValueError("its index is cut off or damaged")
        found.append((key, value))
    return found


def _fields(message: bytes) -> Iterator[tuple[int, _Value]]:
    """Number and value of each field of a protocol buffer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        value: _Value
        if kind == _VARINT:
            value, position = _varint(message, position)
        else:
            if kind == _BYTES:
                length, position = _varint(message, position)
            elif kind in (_FIXED32, _FIXED64):
                length = 4 if kind == _FIXED32 else 8
            else:
                raise ValueError("its index holds no protocol buffers")
            value = message[position : position + length]
            position += length
        if position > len(message):
            raise ValueError("its index is cut off or damaged")
        yield tag >> 3, value


def _entry(message: bytes) -> Entry:
    """A BundleEntryProto: 1 dtype, 2 shape, 4 offset, 5 size; what is 0 is not written."""
    fields = dict(_fields(message))
    shape = fields.get(2, b"")
    numbers = [fields.get(key, 0) for key in (1, 4, 5)]
    if not isinstance(shape, bytes) or not all(isinstance(one, int) for one in numbers):
        raise ValueError("its index holds entries of another kind")
    dtype, offset, size = (int(one) for one in numbers)
    return Entry(dtype, _shape(shape), offset, size)


def _shape(message: bytes) -> tuple[int, ...]:
    """A TensorShapeProto: its field 2 are the dimensions, of which field 1 is the size."""
    found = []
    for number, dimension in _fields(message):
        if number == 2 and isinstance(dimension, bytes):
            size = dict(_fields(dimension)).get(1, 0)
            found.append(int(size) if isinstance(size, int) else 0)
    return tuple(found)
