"""Arguments of an encoder's class: given, refused, recorded, and part of what an encoder is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from earmark.encoders import AudioEncoder, EncoderError, catalogue, load_encoder, load_encoders
from earmark.encoders.arguments import FilesRead
from earmark.encoders.made import made_with, rename
from earmark.encoders.registry import register_encoder

MINE = """\
import torch
from earmark import AudioEncoder, Frames


class Mine(AudioEncoder):
    sample_rate = 16_000
    embedding_dim = 4
    frame_rate = 25.0

    def __init__(self, ckpt, layer=6, *, scale=1.0):
        super().__init__()
        self.ckpt, self.layer = ckpt, layer
        self.config = {"ckpt": ckpt, "scale": scale}
        text = open(ckpt).read()
        self.weight = torch.nn.Parameter(torch.arange(4.0) * float(text.split()[0]))

    def encode(self, waveforms, lengths):
        return Frames(self.weight.expand(len(waveforms), 1, 4), torch.ones_like(lengths))


class Any(Mine):
    name = "anything"

    def __init__(self, **settings):
        super().__init__(settings.pop("ckpt"))
        self.settings = settings
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: `mine.py`, `runs/10k.pt` and its copy `other/copy.pt`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    for name in ("runs/10k.pt", "other/copy.pt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("3 steps")
    return tmp_path


def test_a_class_in_a_file_takes_arguments(folder: Path) -> None:
    one = load_encoder("mine.py:Mine(ckpt=runs/10k.pt, layer=2, scale=0.5)")
    assert (one.ckpt, one.layer, one.config["scale"]) == ("runs/10k.pt", 2, 0.5)
    assert one.weight.tolist() == [0, 3, 6, 9]
    assert one.name == "Mine(ckpt=10k, layer=2, scale=0.5)"
    assert dict(made_with(one).arguments) == {"ckpt": "runs/10k.pt", "layer": 2, "scale": 0.5}
    digest = hashlib.sha256(b"3 steps").hexdigest()
    assert dict(made_with(one).contents) == {"runs/10k.pt": digest}
    other = load_encoder("mine.py:Any(ckpt=runs/10k.pt, whatever=[1, true])")
    assert other.settings == {"whatever": [1, True]}
    assert other.name == "anything(ckpt=10k, whatever=[1, True])"


def test_registered_classes_and_functions_take_them_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "REGISTERED", {})
    cls = type(load_encoder("mine.py:Mine(ckpt=runs/10k.pt)"))
    register_encoder("mine")(cls)
    register_encoder("mine:v2")(lambda scale=2.0: cls("runs/10k.pt", scale=scale))
    assert load_encoder("mine(ckpt=runs/10k.pt, layer=3)").layer == 3
    assert load_encoder("mine:v2").config["scale"] == 2.0
    with pytest.raises(EncoderError, match="no bracket"):
        register_encoder("mine(v2)")(cls)


def test_a_package_s_encoder_takes_them_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    module = type(load_encoder("mine.py:Mine(ckpt=runs/10k.pt)")).__module__
    point = importlib.metadata.EntryPoint("theirs", f"{module}:Mine", catalogue.ENTRY_POINT_GROUP)
    monkeypatch.setattr(catalogue, "entry_points", lambda: [point])
    one = load_encoder("theirs(ckpt=runs/10k.pt, layer=4)")
    assert (one.layer, one.name) == (4, "theirs(ckpt=10k, layer=4)")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "mine.py:Mine(ckpt=runs/10k.pt, lyer=6)",
            "'mine.py:Mine' takes no argument 'lyer'; did you mean 'layer'?",
        ),
        ("mine.py:Mine(ckpt=runs/10k.pt, zzz=6)", "'zzz'; it takes ckpt, layer, scale"),
        ("mine.py:Mine", "needs ckpt: ask for mine.py:Mine(ckpt=...)"),
        ("mine.py:Mine(layer=3)", "needs ckpt: ask for mine.py:Mine(layer=3, ckpt=...)"),
        ("mine.py:Mine(ckpt=runs/11k.pt)", "FileNotFoundError while it was made"),
        ("mine.py:Mine(self=1)", "takes no argument 'self'"),
        ("mine.py:Mine(runs/10k.pt)", "by name, as in (layer=6)"),
        ("logmel(bands=3)", "'logmel' takes no argument 'bands'; it takes none"),
        ("dasheng-tiny:semantic(a=1)", "character 22: arguments come before the output"),
        ("dasheng-tiny(a=1):semantic", "'dasheng-tiny:semantic' takes no arguments"),
        ("mine.py:Mine(ckpt=runs/10k.pt):scene", "has no output 'scene'"),
        ("nobody(a=1)", "unknown encoder 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(folder: Path, asked: str, said: str) -> None:
    with pytest.raises(EncoderError) as raised:
        load_encoder(asked)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_identity_follows_arguments_and_the_content_of_files(folder: Path) -> None:
    def fingerprint(asked: str) -> str:
        return load_encoder(asked).fingerprint()

    asked = "mine.py:Mine(ckpt=runs/10k.pt)"
    first = fingerprint(asked)
    assert fingerprint(asked) == first
    assert fingerprint("mine.py:Mine( ckpt = 'runs/10k.pt', )") == first
    assert fingerprint("mine.py:Mine(ckpt=other/copy.pt)") == first  # the same weights elsewhere
    assert fingerprint("mine.py:Mine(ckpt=runs/10k.pt, layer=7)") != first
    assert fingerprint("mine.py:Mine(ckpt=runs/10k.pt, scale=1.0)") != first  # it was said
    # the same parameters, size and time: the content alone is another
    file = Path("runs/10k.pt")
    before = file.stat()
    file.write_text("3 stepz")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = fingerprint(asked)
    assert second != first
    assert fingerprint("mine.py:Mine(ckpt=other/copy.pt)") == first


def test_a_name_is_not_part_of_what_an_encoder_is(folder: Path) -> None:
    one = load_encoder("mine.py:Mine(ckpt=runs/10k.pt)")
    before = one.fingerprint()
    rename(one, "A")
    rename(one, "B")
    assert one.name == "B" and one.fingerprint() == before
    plain = load_encoder("logmel")
    before = plain.fingerprint()
    rename(plain, "mel")
    assert plain.fingerprint() == before == load_encoder("logmel").fingerprint()


def test_a_control_of_an_encoder_with_arguments(folder: Path) -> None:
    plain, control = load_encoders(
        ["mine.py:Mine(ckpt=runs/10k.pt)", "mine.py:Mine(ckpt=runs/10k.pt):permuted"]
    )
    assert control.name == "Mine(ckpt=10k):permuted"
    assert sorted(control.weight.tolist()) == plain.weight.tolist() != control.weight.tolist()
    assert made_with(control).contents == made_with(plain).contents
    assert control.fingerprint() != plain.fingerprint()


def test_folders_are_hashed_by_names_and_contents(tmp_path: Path) -> None:
    def digest() -> str:
        return FilesRead({"a": [str(tmp_path / "model")]}).contents[str(tmp_path / "model")]

    inner = tmp_path / "model" / "shards"
    inner.mkdir(parents=True)
    (inner / "1.bin").write_bytes(b"x" * 3_000_000)
    (inner / "around").symlink_to(tmp_path / "model")  # a ring
    first = digest()
    (tmp_path / "model" / "__pycache__").mkdir()
    (tmp_path / "model" / "__pycache__" / "a.pyc").write_bytes(b"y")
    assert digest() == first
    (inner / "1.bin").rename(inner / "2.bin")
    second = digest()
    assert second != first
    (inner / "2.bin").write_bytes(b"x" * 2_999_999 + b"y")
    assert digest() not in (first, second)


def test_a_file_that_is_written_to_while_it_is_read_is_refused(folder: Path) -> None:
    asked = "mine.py:Mine(ckpt=runs/10k.pt)"
    text = MINE.replace(
        "        text = open", "        open(ckpt, 'a').write(' more')\n        text = open"
    )
    Path("mine.py").write_text(text)
    with pytest.raises(EncoderError, match=r"runs/10k\.pt was written to while it was read"):
        load_encoder(asked)


def test_what_is_no_file_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = ["", "none", "x" * 5000, "a\0b", "~nobody-of-that-name/x", "/dev/null", 3, None, True]
    assert FilesRead({"a": texts}).contents == {}
    (tmp_path / "closed").write_text("x")
    (tmp_path / "closed").chmod(0)
    if os.geteuid():
        with pytest.raises(EncoderError, match="argument closed: closed: Permission denied"):
            FilesRead({"a": "closed"})


def test_a_copy_of_an_encoder_keeps_what_it_was_made_with(folder: Path) -> None:
    from earmark.encoders.control import control_of

    one: AudioEncoder = load_encoder("mine.py:Mine(ckpt=runs/10k.pt)")
    made: Callable[[AudioEncoder], AudioEncoder] = control_of
    assert made_with(made(one)).contents == made_with(one).contents
    assert not torch.equal(made(one).weight, one.weight)
