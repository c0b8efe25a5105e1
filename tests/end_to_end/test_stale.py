"""What must not outlast its cause: edited code, changed weights, passing failures."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from earmark import evaluate
from earmark.benchmark.result import provenance
from earmark.benchmark.result.files import read_result
from earmark.encoders import find_encoder, load_encoder, ready_encoder

Toy = Callable[..., tuple[Path, Path]]
GAIN = "from earmark.encoders.logmel import LogMel\n\n\nclass Gain(LogMel):\n    name = 'gain'\n"
DEAF = """
    def encode(self, waveforms, lengths):  # hears the first sample alone, which is noise
        return super().encode(waveforms * 0 + waveforms[:, :1], lengths)
"""


def test_an_edited_plugin_runs_its_new_code(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    file = tmp_path / "gain.py"
    scores = []
    for source in (GAIN, GAIN + DEAF, GAIN):
        file.write_text(source)
        (result,) = evaluate(f"{file}:Gain", str(task), data=data, results=tmp_path / "r", seeds=1)
        scores.append((result.scores["knn"].value, result.encoder.fingerprint))
    assert scores[0] == scores[2]
    assert scores[0][0] > 0.9 > scores[1][0] and scores[0][1] != scores[1][1]


def test_a_changed_weight_is_seen_by_a_result_that_is_used_again(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    evaluate("logmel", str(task), data=data, results=tmp_path / "r")
    task.write_text(task.read_text() + "weight: 99\n")
    (again,) = evaluate("logmel", str(task), data=data, results=tmp_path / "r")
    (path,) = (tmp_path / "r").rglob("toy.json")
    assert again.task.weight == read_result(path).task.weight == 99


def test_a_result_with_failures_that_may_pass_is_made_again(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    flag = tmp_path / "broken"
    flag.touch()
    file = tmp_path / "flaky.py"
    body = f"""
    def encode(self, waveforms, lengths):
        import os
        if os.path.exists({str(flag)!r}) and (len(lengths) > 1 or int(lengths[0]) % 7 == 0):
            raise RuntimeError('busy')
        return super().encode(waveforms, lengths)
"""
    file.write_text(GAIN.replace("Gain", "Flaky") + body)
    options = {"data": data, "results": tmp_path / "r", "failed_share": 0.9, "seeds": 1}
    (first,) = evaluate(f"{file}:Flaky", str(task), **options)
    assert first.status == "done" and first.data.failed_clips > 0
    flag.unlink()
    (second,) = evaluate(f"{file}:Flaky", str(task), **options)
    assert second.data.failed_clips == 0


SETTING = """import torch
from earmark import AudioEncoder, Frames


class Scaled(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "scaled", 16_000, 2, 1.0

    def __init__(self, number=1, tensor=1.0, layers=(1, 2)):
        super().__init__()
        self.number, self.tensor, self.layers = number, torch.tensor(tensor), layers
        self.inner = torch.nn.Linear(2, 2)
"""


def test_settings_kept_as_attributes_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "scaled.py").write_text(SETTING)
    make = find_encoder(f"{tmp_path / 'scaled.py'}:Scaled")

    def fingerprint(**settings: object) -> str:
        torch.manual_seed(1)
        return str(make(**settings).fingerprint())

    assert fingerprint() == fingerprint()
    changed = [
        fingerprint(), fingerprint(number=2), fingerprint(tensor=2.0), fingerprint(layers=(1, 3)),
    ]  # fmt: skip
    assert len(set(changed)) == 4
    torch.manual_seed(1)
    encoder = make()
    assert encoder.fingerprint() == changed[0]
    encoder.inner.extra = 3.5  # of a module within
    assert encoder.fingerprint() != changed[0]


def test_random_weights_are_the_same_in_every_run(tmp_path: Path) -> None:
    (tmp_path / "scaled.py").write_text(SETTING)
    name = f"{tmp_path / 'scaled.py'}:Scaled"
    state = torch.get_rng_state()
    assert load_encoder(name).fingerprint() == load_encoder(name).fingerprint()
    assert torch.equal(torch.get_rng_state(), state)  # the caller's own draws go on as before


def test_the_code_of_a_module_within_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    inner = "import torch\n\n\nclass Inner(torch.nn.Module):\n    slope = {}\n"
    found = []
    for slope in (1, 2):
        folder = tmp_path / str(slope)
        folder.mkdir()
        (folder / f"inner_{slope}.py").write_text(inner.format(slope))
        text = SETTING.replace("torch.nn.Linear(2, 2)", "Inner()")
        (folder / "scaled.py").write_text(f"from inner_{slope} import Inner\n{text}")
        found.append(load_encoder(f"{folder / 'scaled.py'}:Scaled").fingerprint())
    assert found[0] != found[1]
    assert load_encoder(f"{tmp_path / '1' / 'scaled.py'}:Scaled").fingerprint() == found[0]


PART = "import torch\n\n\nclass Part(torch.nn.Module):\n    slope = 1\n"


def test_code_edited_after_its_import_is_not_taken_for_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of modules that Python's own `import` found, not of a plugin given by its path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    model, part = tmp_path / "earmark_test_model.py", tmp_path / "earmark_test_part.py"
    text = SETTING.replace("torch.nn.Linear(2, 2)", "Part()")
    part.write_text(PART)
    model.write_text(f"from earmark_test_part import Part\n{text}")
    module = importlib.import_module("earmark_test_model")
    expected = module.Scaled().fingerprint()
    monkeypatch.delitem(sys.modules, "earmark_test_model")
    monkeypatch.delitem(sys.modules, "earmark_test_part")

    module = importlib.import_module("earmark_test_model")  # the same code as other classes
    model.write_text(model.read_text() + "# edited before an encoder is made\n")
    encoder = ready_encoder(module.Scaled())
    part.write_text(PART.replace("1", "2"))  # edited once it is loaded
    assert encoder.fingerprint() == module.Scaled().fingerprint() == expected

    importlib.reload(sys.modules["earmark_test_part"])
    edited = importlib.reload(module).Scaled().fingerprint()  # now the edited code runs
    assert edited != expected
    monkeypatch.delitem(sys.modules, "earmark_test_model")
    monkeypatch.delitem(sys.modules, "earmark_test_part")
    assert importlib.import_module("earmark_test_model").Scaled().fingerprint() == edited


def test_a_module_of_the_scoring_code_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Renamed and passed over, it would let results of other code count as valid."""
    provenance.scoring_code.cache_clear()
    monkeypatch.setattr(provenance, "_SCORING_CODE", ("benchmark/metric", "benchmark/no_such"))
    with pytest.raises(FileNotFoundError, match="no_such"):
        provenance.scoring_code()
    provenance.scoring_code.cache_clear()


def test_all_that_a_probe_is_made_from_is_scoring_code() -> None:
    """Whatever the hashed folders import, all but files, terminal and what only holds results."""
    root = Path(provenance.__file__).parents[2]
    listed = {root / place for place in provenance._SCORING_CODE}
    hashed = {
        path for place in listed for path in (place.glob("*.py") if place.is_dir() else [place])
    }
    unhashed = {"io", "result", "protocol.py", "zenodo", "store.py", "hub.py", "synthetic"}
    for path in hashed:
        for module in re.findall(r"^from earmark\.([\w.]+) import", path.read_text(), re.MULTILINE):
            file = (root / module.replace(".", "/")).with_suffix(".py")
            known = file in hashed or file.with_suffix("") in listed
            assert known or set(file.parts) & unhashed or module == "tasks", (path, module)
