"""How encoders are asked for: read, written, and refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.encoders import EncoderError
from earmark.encoders.spec import EncoderSpec, parse_spec

S = EncoderSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("logmel", S("logmel")),
        ("dasheng:semantic", S("dasheng", output="semantic")),
        ("dasheng:semantic:permuted-2", S("dasheng", output="semantic", draw=2)),
        ("hubert-large:layer-6:permuted", S("hubert-large", output="layer-6", draw=1)),
        ("my/enc.py:Mine", S("my/enc.py:Mine")),
        ("my/enc.py:Mine:layer-6", S("my/enc.py:Mine", output="layer-6")),
        ("their_encoder.py", S("their_encoder.py")),
        ("their_encoder.py:permuted", S("their_encoder.py", draw=1)),
        ("their_encoder.py:layer-2", S("their_encoder.py", output="layer-2")),
        ("old (copy)/v1(a)/enc.py:Mine(a=1)", S("old (copy)/v1(a)/enc.py:Mine", {"a": 1})),
        ("my.pyfiles/enc.py:Mine(ckpt=x.py:B)", S("my.pyfiles/enc.py:Mine", {"ckpt": "x.py:B"})),
        ("C:\\my\\enc.py:Mine(a=1)", S("C:\\my\\enc.py:Mine", {"a": 1})),
        ("mine(file=a.py:B)", S("mine", {"file": "a.py:B"})),
        ("mine ( v2 )", S("mine ( v2 )")),
        ("mine()", S("mine")),
        ("e.py:M( ckpt = runs/10k.pt , layer = 6 ,):scene:permuted",
         S("e.py:M", {"ckpt": "runs/10k.pt", "layer": 6}, "scene", 1)),
        ("m(a=-3, b=1e-4, c=.5, d=2., e=1_000)",
         S("m", {"a": -3, "b": 1e-4, "c": 0.5, "d": 2.0, "e": 1000})),
        ("m(a=true, b=False, c=None, d=null)",
         S("m", {"a": True, "b": False, "c": None, "d": None})),
        ("m(a='true', b=\"1, (2)\", c='', d='it\\'s')",
         S("m", {"a": "true", "b": "1, (2)", "c": "", "d": "it's"})),
        ("m(a=[1, two, [3.5, None]], b=[])", S("m", {"a": [1, "two", [3.5, None]], "b": []})),
        ("m(ckpt=epoch=3-step=1000.ckpt, v=1.2.3, i=007, s=my runs/a.pt)",
         S("m", {"ckpt": "epoch=3-step=1000.ckpt", "v": "1.2.3", "i": "007", "s": "my runs/a.pt"})),
        ("hf:facebook/wav2vec2-base(revision=main):layer-6",
         S("hf:facebook/wav2vec2-base", {"revision": "main"}, "layer-6")),
        ("hf:../models (old)/x.py", S("hf:../models (old)/x.py")),
        ("hf:C:\\models\\x:layer-1", S("hf:C:\\models\\x", {}, "layer-1")),
        ("hear:hearbaseline.naive(model_file_path=a.pt)",
         S("hear:hearbaseline.naive", {"model_file_path": "a.pt"})),
    ],
)  # fmt: skip
def test_a_text_is_read(text: str, expected: EncoderSpec) -> None:
    found = parse_spec(text)
    assert found == expected
    types = {key: type(value) for key, value in found.arguments.items()}
    assert types == {key: type(value) for key, value in expected.arguments.items()}
    assert parse_spec(found.text) == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet="ab1.-e+=_ '\"\\,(){}[]", max_size=8),
    lambda inner: st.lists(inner, max_size=3), max_leaves=5,
)  # fmt: skip
_KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)


@given(
    st.sampled_from(["logmel", "a b/enc.py:Mine", "their.py", "hf:org/name", "hear:a.b"]),
    st.dictionaries(_KEYS, _VALUES, max_size=4), st.sampled_from(["", "layer-6", "scene-x"]),
    st.integers(0, 12),
)  # fmt: skip
def test_what_is_written_is_read_again(
    base: str, arguments: dict[str, object], output: str, draw: int
) -> None:
    spec = EncoderSpec(base, arguments, output, draw)
    found = parse_spec(spec.text)
    assert found == spec
    assert repr(found.arguments) == repr(spec.arguments)  # 1 is not True, and not 1.0


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("m(6)", 3, "by name, as in (layer=6)"),
        ("m(a=1", 6, "comma or ')'"),
        ("m(a=1,", 7, "bracket is not closed"),
        ("m(a=)", 5, "no value for a"),
        ("m(a=1, a=2)", 8, "argument a is there twice"),
        ("m(a='x)", 5, "no second '"),
        ("m(a='\\x')", 5, "double each backslash"),
        ("m(a=f(1))", 6, "into quotes"),
        ("m(a=__import__('os'))", 15, "into quotes"),
        ("m(a=[1, 2)", 10, "comma or ']'"),
        ("m(a={1,2})", 5, "several encoders"),
        ("m(a=1e999)", 5, "too large"),
        ("m(a=1)x", 7, "expected the end"),
        ("m(a=1):", 7, "no output after the colon"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, place: int, said: str) -> None:
    with pytest.raises(EncoderError) as raised:
        parse_spec(text)
    message = str(raised.value)
    assert "\n" not in message
    assert f"character {place}:" in message and said in message, message


def test_what_is_no_literal_is_not_written() -> None:
    for value in (float("inf"), {"a": 1}, object(), [b"x"]):
        with pytest.raises(EncoderError, match="arguments are finite numbers"):
            _ = EncoderSpec("m", {"a": value}).text


def test_reading_needs_no_torch() -> None:
    code = (
        "import sys, earmark.encoders.spec as s; s.parse_spec('m(a=1)'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
