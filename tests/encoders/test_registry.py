"""Encoders by name, by file, by entry point; and their fingerprints."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from clips import REPOSITORY

from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    Frames,
    catalogue,
    encoder_names,
    load_encoder,
)
from earmark.encoders import registry as registry_module
from earmark.encoders.registry import register_encoder

PLUGIN = """\
import torch
from earmark import AudioEncoder, Frames


class Mine(AudioEncoder):
    name = "mine"
    sample_rate = 16_000
    embedding_dim = 4
    frame_rate = 25.0

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 4)
        torch.nn.init.constant_(self.layer.weight, {weight})
        torch.nn.init.constant_(self.layer.bias, 0.0)
        self.config = {config}

    def encode(self, waveforms, lengths):
        return Frames(torch.zeros(len(waveforms), 1, 4), torch.ones_like(lengths))
"""


class Plain(AudioEncoder):
    """An encoder of this file, whose weights and configuration the tests vary."""

    name = "plain"
    sample_rate = 8000
    embedding_dim = 3
    frame_rate = 10.0
    libraries: ClassVar[tuple[str, ...]] = ()

    def __init__(self, weight: float = 0.0, **config: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((3,), weight))
        self.register_buffer("mean", torch.zeros(2))
        self.config = config

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        return Frames(torch.zeros(len(waveforms), 1, 3), torch.ones_like(lengths))


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., str]:
    """make(text or PLUGIN's fields, folder) -> the plugin as asked for on the command line."""

    def make(
        text: str | None = None, *, folder: str = "a", weight: float = 1.0, config: str = "{}"
    ) -> str:
        path = tmp_path / folder / "model.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text or PLUGIN.format(weight=weight, config=config))
        return f"{path}:Mine"

    return make


@pytest.fixture
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "REGISTERED", {})
    monkeypatch.setattr(registry_module, "_told", set())


def refusal(name: str) -> str:
    """The one line that says why an encoder cannot be loaded."""
    with pytest.raises(EncoderError) as caught:
        load_encoder(name)
    line = str(caught.value)
    assert line
    assert "\n" not in line
    return line


def in_another_process(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=os.environ | variables,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_built_in_encoders_keep_their_word(name: str) -> None:
    encoder = load_encoder(name)
    assert (encoder.name, encoder_names()[name]) == (name, "built in")
    assert not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    waves = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 32_000)) * 0.1).float()
    frames = encoder.encode(waves, torch.tensor([32_000, 16_000]))
    assert frames.values.shape == (2, 2 * encoder.frame_rate, encoder.embedding_dim)
    assert frames.lengths.tolist() == [2 * encoder.frame_rate, encoder.frame_rate]


@pytest.mark.parametrize(("typed", "meant"), [("logmell", "logmel"), ("mffc", "mfcc")])
def test_unknown_name_gets_did_you_mean(typed: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in refusal(typed)


def test_unknown_name_far_from_all_gets_the_way_to_the_list() -> None:
    assert "list encoders" in refusal("wav2vec-conformer-xl")
    assert "model.py does not exist" in refusal("model.py")


def test_plugin_from_a_file(plugin: Callable[..., str]) -> None:
    encoder = load_encoder(plugin())
    assert encoder.name == "mine"
    assert not encoder.training
    assert not encoder.get_parameter("layer.weight").requires_grad


def test_plugin_without_a_name_is_called_after_its_class(plugin: Callable[..., str]) -> None:
    text = PLUGIN.format(weight=1, config="{}").replace('    name = "mine"\n', "")
    assert load_encoder(plugin(text)).name == "Mine"


def test_two_files_of_one_name_do_not_take_each_others_place(plugin: Callable[..., str]) -> None:
    one, two = plugin(folder="a", weight=1.0), plugin(folder="b", weight=2.0)
    loaded = [load_encoder(name) for name in (one, two, one)]
    assert [float(e.get_parameter("layer.weight")[0, 0]) for e in loaded] == [1.0, 2.0, 1.0]
    prints = [encoder.fingerprint() for encoder in loaded]
    assert prints[0] == prints[2] != prints[1]


def test_plugin_can_import_what_lies_beside_it(plugin: Callable[..., str], tmp_path: Path) -> None:
    spec = plugin("from earmark_test_beside import Mine\n")
    (tmp_path / "a" / "earmark_test_beside.py").write_text(PLUGIN.format(weight=3, config="{}"))
    before = sys.path.copy()
    assert load_encoder(spec).name == "mine"
    assert sys.path == before
    assert "earmark_test_beside" not in sys.modules  # it is the encoder's own


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_library_anywhere\n", "no_such_library_anywhere"),
        ("def broken(:\n", "SyntaxError"),
        ("raise RuntimeError('first line\\nsecond line')\n", "first line second line"),
        ("class Other:\n    pass\n", "no class 'Mine'; it defines Other"),
        ("x = 1\n", "it defines no class"),
        ("Mine = 3\n", "no class 'Mine'"),
        ("class Mine:\n    pass\n", "must be a subclass of earmark.AudioEncoder"),
        ("class Mine:\n    def __init__(self, size):\n        pass\n", "size"),
        ("class Mine:\n    def __init__(self):\n        open('/no/weights')\n", "/no/weights"),
        (PLUGIN.replace("16_000", "0").format(weight=1, config="{}"), "sample_rate"),
        (PLUGIN.replace("16_000", "True").format(weight=1, config="{}"), "sample_rate"),
        (PLUGIN.replace("25.0", "'25'").format(weight=1, config="{}"), "frame_rate"),
        (PLUGIN.replace("25.0", "float('nan')").format(weight=1, config="{}"), "frame_rate"),
        (PLUGIN.replace("_dim = 4", "_dim = 4.5").format(weight=1, config="{}"), "whole number"),
        (PLUGIN.replace("    embedding_dim = 4\n", "").format(weight=1, config="{}"), "embedding"),
    ],
)
def test_plugin_that_cannot_be_used(plugin: Callable[..., str], text: str, said: str) -> None:
    spec = plugin(text)
    line = refusal(spec)
    assert said in line
    assert str(Path(spec.partition(":")[0]).name) in line


def test_plugin_file_that_is_not_there(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.py'} does not exist" in refusal(f"{tmp_path / 'none.py'}:Mine")


@pytest.mark.usefixtures("clean_registry")
def test_register_encoder() -> None:
    assert register_encoder("mine-1")(Plain) is Plain
    assert encoder_names()["mine-1"] == "registered in this process"
    assert isinstance(load_encoder("mine-1"), Plain)
    assert "'mine-1'" in refusal("mine-2")
    register_encoder("mine-1")(Plain)  # the same once more: a module that is imported again

    class Other(Plain):
        pass

    for taken in ("mine-1", "logmel"):
        with pytest.raises(EncoderError, match="exists already"):
            register_encoder(taken)(Other)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution that names two encoders, one of which cannot be imported."""
    site = tmp_path / "site"
    info = site / "tinyhear-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tinyhear\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[earmark.encoders]\ntiny = earmark_test_tiny:Mine\nbad = earmark_test_absent:Mine\n"
    )
    (site / "earmark_test_tiny.py").write_text(PLUGIN.format(weight=1, config="{}"))
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("earmark_test_tiny", None)


@pytest.mark.usefixtures("package")
def test_entry_points() -> None:
    names = encoder_names()
    assert names["tiny"] == names["bad"] == "package tinyhear"
    assert "earmark_test_tiny" not in sys.modules  # listing imports nothing
    assert load_encoder("tiny").embedding_dim == 4
    line = refusal("bad")
    assert "tinyhear" in line
    assert "earmark_test_absent" in line
    assert "did you mean 'tiny'?" in refusal("tinyy")


@pytest.mark.usefixtures("clean_registry")
def test_a_name_twice_is_one_encoder_by_one_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, package in enumerate(("first", "second")):
        info = tmp_path / package / f"{package}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        names = ("logmel", "wav2vec2:own", "mine-1", "both")
        points = "".join(f"{name} = earmark_test_twice:Mine\n" for name in names)
        (info / "entry_points.txt").write_text(f"[earmark.encoders]\n{points}")
        (tmp_path / package / "earmark_test_twice.py").write_text(
            PLUGIN.format(weight=number, config="{}")
        )
    for package in ("second", "first"):
        monkeypatch.syspath_prepend(str(tmp_path / package))
    importlib.invalidate_caches()
    register_encoder("mine-1")(Plain)
    names = encoder_names()
    assert names["logmel"] == "built in; not that of package first, package second"
    assert names["mine-1"] == (
        "registered in this process; not that of package first, package second"
    )
    assert "wav2vec2:own" not in names
    assert load_encoder("logmel").embedding_dim == 256  # the built-in's
    assert isinstance(load_encoder("mine-1"), Plain)
    load_encoder("logmel")
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "'logmel'" in line] == [
        "encoder 'logmel': built in; not that of package first, package second"
    ]
    assert names["both"] == "package first; not that of package second"
    assert float(load_encoder("both").get_parameter("layer.weight")[0, 0]) == 0.0
    sys.modules.pop("earmark_test_twice", None)


def test_listing_imports_no_model_library() -> None:
    code = (
        "import sys; from earmark.encoders.registry import encoder_names; print(*encoder_names());"
        "watched = {'torchaudio', 'transformers', 'earmark.encoders.logmel'};"
        "print(*sorted(watched & set(sys.modules)))"
    )
    names, _, imported = in_another_process(code).partition("\n")
    assert {"logmel", "mfcc"} <= set(names.split())
    assert imported.split() == []


def test_fingerprint_is_the_same_in_another_process(plugin: Callable[..., str]) -> None:
    spec = plugin(config="{'layers': [1, 2], 'b': None, 'a': {'y': 1, 'x': 2}}")
    code = f"from earmark.encoders import load_encoder; print(load_encoder({spec!r}).fingerprint())"
    other = in_another_process(code, PYTHONHASHSEED="77")
    assert other == load_encoder(spec).fingerprint()
    assert len(other) == 64


def test_fingerprint_tells_checkpoints_and_settings_apart() -> None:
    buffered = Plain()
    buffered.get_buffer("mean")[1] = 1e-7
    renamed = Plain()
    renamed.sample_rate = 8001
    honest = Plain()
    honest.honours_lengths = True
    half = Plain().half()
    encoders = [
        Plain(), Plain(1.0), Plain(layer=3), Plain(layer=4), Plain(layer="3"), Plain(other=3),
        buffered, renamed, honest, half,
    ]  # fmt: skip
    assert len({encoder.fingerprint() for encoder in encoders}) == len(encoders)
    assert Plain(0.5, a=1, b=2).fingerprint() == Plain(0.5, b=2, a=1).fingerprint()
    assert Plain().train().fingerprint() == Plain().eval().fingerprint()


def test_fingerprint_covers_the_code_file(plugin: Callable[..., str]) -> None:
    text = PLUGIN.format(weight=1, config="{}")
    one = load_encoder(plugin(text, folder="a")).fingerprint()
    copied = load_encoder(plugin(text, folder="b")).fingerprint()
    changed = text.replace("torch.zeros", "torch.ones")
    two = load_encoder(plugin(changed, folder="c")).fingerprint()
    assert one == copied != two


def test_fingerprint_covers_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plain, "libraries", ("torchaudio",))
    before = Plain().fingerprint()
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda n: "9.9" if n == "torchaudio" else version(n)
    )
    assert Plain().fingerprint() != before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_fingerprint_reads_weights_of_every_type(dtype: torch.dtype) -> None:
    one, two, three = Plain(), Plain(), Plain()
    for encoder, value in ((one, 0), (two, 1), (three, 1)):
        encoder.register_buffer("more", torch.full((2, 3), value).to(dtype).T)
        encoder.register_buffer("scalar", torch.tensor(value).to(dtype))
    assert one.fingerprint() != two.fingerprint() == three.fingerprint()


def test_config_that_is_not_plain_is_refused() -> None:
    with pytest.raises(EncoderError, match="config must hold plain JSON values"):
        Plain(layers={1, 2}).fingerprint()


def test_missing_library_is_one_line() -> None:
    encoder = Plain()
    encoder.libraries = ("no-such-distribution",)  # type: ignore[misc]
    with pytest.raises(EncoderError, match="no-such-distribution"):
        encoder.fingerprint()
