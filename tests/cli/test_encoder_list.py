"""`list encoders`: groups, what is at hand, what is not built in; and that it is quick."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from clips import REPOSITORY

from earmark.benchmark.cli.main import main
from earmark.encoders import EncoderError, catalogue, load_encoder
from earmark.encoders.card import GROUPS, Hub
from earmark.encoders.cards import CARDS
from earmark.encoders.examples import ALLOW, EXAMPLES
from earmark.encoders.family import FAMILIES
from earmark.encoders.logmel import LogMel
from earmark.encoders.schemes import SCHEMES


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["list", "encoders", *options]) == 0
    return capsys.readouterr().out


def test_each_encoder_stands_whole_in_its_group(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    out = listed(capsys)
    assert max(len(line) for line in out.splitlines()) <= 100
    table = out[: out.index("examples\n")].splitlines()
    assert max(len(line) for line in table) <= 80
    assert "…" not in out
    assert all(scheme.example in out for scheme in SCHEMES.values())
    group, found, name = "", {}, ""
    for words in (line.split() for line in table):
        if " ".join(words) in GROUPS:
            group = " ".join(words)
        elif words and words[0].startswith(":"):
            found[name][1].update(word[1:] for word in words if word.startswith(":"))
        elif words and words[0] in CARDS:
            name = words[0]
            found[name] = (group, set())
    outputs = {
        name: set(family.outputs) - {""} | ({"layer-N"} if family.layers else set())
        for name, family in FAMILIES.items()
    }
    assert found == {name: (card.group, outputs.get(name, set())) for name, card in CARDS.items()}


def test_no_weights_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    out = listed(capsys, "--has-weights", "--json")
    names = {row["name"] for row in json.loads(out)}
    assert {"logmel", "dasheng-tiny"} <= names
    assert names == {name for name, card in CARDS.items() if card.weights.at_hand()}
    assert "dasheng-1.2b" not in names


def test_a_cached_model_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    before = listed(capsys, "--has-weights")
    weights = CARDS["hubert-large"].weights
    assert isinstance(weights, Hub) and weights.revision
    folder = tmp_path / "models--facebook--hubert-large-ll60k" / "snapshots" / weights.revision
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    after = listed(capsys, "--has-weights")
    assert "hubert-large" not in before
    assert [line.split()[0] for line in after.splitlines() if line.startswith("hub")] == [
        "hubert-large"
    ]
    assert "hub +" in after


def test_what_is_not_built_in_has_a_group_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "tinyhear-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tinyhear\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[earmark.encoders]\ntiny = absent:A\nmfcc = absent:A\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.setattr(catalogue, "REGISTERED", {"mine": LogMel})
    lines = listed(capsys).splitlines()
    start = lines.index("others")
    assert lines[start + 1 : start + 4] == [
        "mfcc  built in; not that of package tinyhear",
        "mine  registered in this process",
        "tiny  package tinyhear",
    ]
    rows = {row["name"]: row for row in json.loads(listed(capsys, "--json"))}
    assert rows["tiny"] == {"name": "tiny", "group": "others", "from": "package tinyhear"}
    assert "others" not in listed(capsys, "--has-weights").splitlines()


def test_examples_are_listed_as_they_are_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    lines = listed(capsys).splitlines()
    assert "never run here" in lines[lines.index("examples") + 1]
    names = [row["name"] for row in json.loads(listed(capsys, "--json"))
             if row["group"] == "examples"]  # fmt: skip
    assert len(names) == len(EXAMPLES)
    for name in names:
        assert any(line.startswith(f"{name}  ") for line in lines)
        with pytest.raises(EncoderError, match=ALLOW):
            load_encoder(name)
    assert "examples" not in listed(capsys, "--has-weights").splitlines()


def test_listing_loads_nothing_heavy() -> None:
    """What takes the time is torch: without it the whole command is done in a quarter second."""
    code = (
        "import sys; from earmark.benchmark.cli.main import main; main(['list', 'encoders']);"
        "heavy = {'torch', 'torchaudio', 'numpy', 'transformers', 'pandas', 'scipy'};"
        "print('LOADED', *sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize("option", ["--has-weights", "--json"])
def test_options_of_encoders_alone(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["list", "tasks", option]) != 0
    assert "list encoders" in capsys.readouterr().err
