"""Checkpoints of TensorFlow: against files written here by its published formats."""

from __future__ import annotations

import struct

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from earmark.encoders.inwheel.bundle import read_bundle

Arrays = dict[str, NDArray[np.float32]]


def varint(value: int) -> bytes:
    parts = []
    while value >= 128:
        parts.append(value % 128 + 128)
        value //= 128
    return bytes([*parts, value])


def field(number: int, content: int | bytes) -> bytes:
    if isinstance(content, int):
        return varint(number * 8) + varint(content)
    return varint(number * 8 + 2) + varint(len(content)) + content


def block(pairs: list[tuple[bytes, bytes]], interval: int = 16) -> bytes:
    """A table's block, a key in full at every `interval`-th place, with its trailer."""
    out, restarts, before = b"", [], b""
    for place, (key, value) in enumerate(pairs):
        shared = 0
        if place % interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(before), len(key)) and before[shared] == key[shared]:
                shared += 1
        head = varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += head + key[shared:] + value
        before = key
    out += b"".join(struct.pack("<I", at) for at in restarts or [0])
    return out + struct.pack("<I", len(restarts) or 1) + b"\0" + b"sum."


def bundle(arrays: Arrays, dtype: int = 1, blocks: int = 2) -> tuple[bytes, bytes]:
    """An index and its data, of arrays sorted by name as TensorFlow writes them."""
    data, pairs = b"", [(b"", field(1, 1))]
    for name, values in sorted(arrays.items()):
        shape = b"".join(field(2, field(1, size)) for size in values.shape)
        size = field(5, values.nbytes) if values.nbytes else b""
        at = field(4, len(data)) if data else b""
        check = varint(6 * 8 + 5) + b"\1\2\3\4"
        pairs.append((name.encode(), field(1, dtype) + field(2, shape) + at + size + check))
        data += values.astype("<f4").tobytes()
    index, handles = b"", []
    step = -(-len(pairs) // blocks)
    for start in range(0, len(pairs), step):
        part = pairs[start : start + step]
        made = block(part)
        handles.append((part[-1][0] + b"~", varint(len(index)) + varint(len(made) - 5)))
        index += made
    meta = varint(len(index)) + varint(len(block([])) - 5)
    index += block([])
    root = varint(len(index)) + varint(len(block(handles)) - 5)
    index += block(handles)
    footer = (meta + root).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return index + footer, data


SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(_[0-9])?(/[a-z]{1,9})?", fullmatch=True), SHAPES,
                       max_size=40), st.integers(1, 5))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_what_was_written_is_read(shapes: dict[str, tuple[int, ...]], blocks: int) -> None:
    rng = np.random.default_rng(len(shapes))
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    found = read_bundle(*bundle(arrays, blocks=blocks))
    assert {name: tensor.numpy().tolist() for name, tensor in found.items()} == {
        name: values.tolist() for name, values in arrays.items()
    }


SOME = {"a/kernel": np.ones((2, 3), np.float32), "a/kernel/Adam_1": np.ones(6, np.float32),
        "b": np.arange(200, dtype=np.float32)}  # fmt: skip


def test_averages_of_the_training_and_other_numbers_are_left_out() -> None:
    assert set(read_bundle(*bundle(SOME))) == {"a/kernel", "b"}
    assert read_bundle(*bundle(SOME, dtype=9)) == {}


def test_what_is_damaged_is_one_error_and_never_tensors() -> None:
    index, data = bundle(SOME)
    for cut in range(len(index)):
        with pytest.raises(ValueError):
            read_bundle(index[:cut], data)
    with pytest.raises(ValueError, match="b is not where the index says"):
        read_bundle(index, data[:-1])
    with pytest.raises(ValueError, match="compressed"):
        read_bundle(index.replace(b"\0sum.", b"\1sum."), data)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_bytes_of_chance_raise_nothing_but_that_error(drawn: st.DataObject) -> None:
    index, data = bundle(SOME)
    place = drawn.draw(st.integers(0, len(index) - 1))
    changed = bytearray(index)
    changed[place] = drawn.draw(st.integers(0, 255))
    try:
        read_bundle(bytes(changed), data)
    except ValueError as error:
        assert "\n" not in str(error)
