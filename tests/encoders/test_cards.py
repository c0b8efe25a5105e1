"""What is said of an encoder before it is loaded: against the loaded encoder and its network."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from clips import REPOSITORY
from huggingface_hub import constants, try_to_load_from_cache
from published_networks import NETWORKS, parameters_of
from tiny_models import save

from earmark.encoders import load_encoder
from earmark.encoders.card import NOT_VERIFIED, Along, Card, Given, Hub, Nothing, Wheel, short_count
from earmark.encoders.cards import CARDS
from earmark.encoders.catalogue import BUILTIN
from earmark.encoders.device import parameter_count
from earmark.encoders.family import FAMILIES

README = (REPOSITORY / "encoders" / "README.md").read_text("utf-8")
# An SPDX identifier, as far as its form goes.
SPDX = re.compile(r"[A-Za-z0-9.]+(-[A-Za-z0-9.]+)*")
TINY = ("wav2vec2", "hubert-large", "wavlm-large", "data2vec", "whisper-base", "encodec", "dac",
        "mimi", "xcodec", "snac")  # fmt: skip


def always(card: Card) -> bool:
    """Whether an encoder can be loaded anywhere."""
    return isinstance(card.weights, Along | Nothing)


def test_every_built_in_encoder_has_a_card() -> None:
    assert set(CARDS) == set(FAMILIES) | set(BUILTIN)


def test_weights_and_licences_go_together() -> None:
    for name, card in CARDS.items():
        assert (card.parameters == 0) == (card.licence == "") == isinstance(card.weights, Nothing)
        assert card.licence in ("", NOT_VERIFIED) or SPDX.fullmatch(card.licence), name


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if always(card)])
def test_what_comes_along_is_what_its_card_says(name: str) -> None:
    encoder, card = load_encoder(name), CARDS[name]
    found = (encoder.sample_rate, encoder.frame_rate, encoder.embedding_dim)
    assert found == (card.sample_rate, card.frame_rate, card.dimension)
    assert parameter_count(encoder) == card.parameters


def test_parameters_are_those_of_the_network_in_its_published_sizes() -> None:
    wanted = {name: card.parameters for name, card in CARDS.items() if name in NETWORKS}
    assert {name: parameters_of(name) for name in NETWORKS} == wanted
    stated = {
        name for name, card in CARDS.items()
        if isinstance(card.weights, Hub | Given | Wheel) and card.parameters is not None
    }  # fmt: skip
    assert stated == set(NETWORKS)  # none is taken on trust


@pytest.mark.parametrize("name", TINY)
def test_rates_are_those_of_a_small_model_of_the_same_strides(name: str, tmp_path: Path) -> None:
    save(name, tmp_path)
    encoder = load_encoder(name, weights=tmp_path)
    assert encoder.sample_rate == CARDS[name].sample_rate
    assert encoder.frame_rate == pytest.approx(CARDS[name].frame_rate)


class Asked(Exception):  # noqa: N818 - no fault: what a loader asked for
    """Raised with the checkpoint that a loader wants."""


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, f in FAMILIES.items()
        if f.extra == "baselines" and isinstance(CARDS[n].weights, Hub)
    ],
)
def test_a_loader_asks_for_the_repository_and_commit_of_its_card(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(FAMILIES[name].load.partition(":")[0])

    def asked(checkpoint: Any, *_: Any, **__: Any) -> None:
        raise Asked(checkpoint.repo, checkpoint.revision)

    monkeypatch.setattr(module, "load_checkpoint", asked)
    with pytest.raises(Asked) as caught:
        FAMILIES[name].make(name, ("",), None)
    weights = CARDS[name].weights
    assert isinstance(weights, Hub)
    assert caught.value.args == (weights.repo, weights.revision)


COMMITS = ("a" * 40, "b" * 40)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with a commit of `someone/model` without weights: its snapshot's folder."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--someone--model" / "snapshots" / COMMITS[0]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_weights_are_at_hand_where_the_hubs_own_cache_has_them(cache: Path) -> None:
    pinned, newest = Hub("someone/model", COMMITS[0]), Hub("someone/model")
    other = Hub("someone/model", COMMITS[1])
    assert not any(one.at_hand() for one in (pinned, newest, other))
    blob = cache.parents[1] / "blobs" / "1234"
    (cache / "model.safetensors").symlink_to(blob)
    assert not pinned.at_hand()  # a link whose file is gone
    blob.parent.mkdir()
    blob.write_bytes(b"x")
    assert [one.at_hand() for one in (pinned, newest, other)] == [True, True, False]
    # the hub's own client finds the same
    found = try_to_load_from_cache(
        "someone/model", "model.safetensors", revision=COMMITS[0], cache_dir=cache.parents[2]
    )
    assert isinstance(found, str)


@pytest.mark.parametrize(
    ("count", "said"),
    [(None, "?"), (0, "-"), (490_000, "0.49 M"), (1_792_930, "1.8 M"), (20_590_592, "21 M"),
     (999_400_000, "999 M"), (999_600_000, "1.0 B"), (1_134_047_360, "1.1 B")],
)  # fmt: skip
def test_counts_in_words(count: int | None, said: str) -> None:
    assert short_count(count) == said


def rows() -> list[tuple[list[str], set[str], list[str]]]:
    """The README's table: names, outputs, and the cells after the model's."""
    found = []
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        words = re.findall(r"`([^`]+)`", cells[0])
        if len(cells) == 6 and words:
            names = [word for word in words if not word.startswith(":")]
            outputs = {word[1:] for word in words if word.startswith(":")}
            found.append((names, outputs, cells[2:]))
    return found


def test_the_readmes_table_says_what_the_cards_say() -> None:
    listed = [name for names, _, _ in rows() for name in names]
    assert sorted(listed) == sorted(CARDS)
    for names, outputs, (rate, frames, dimensions, extra) in rows():
        cards = [CARDS[name] for name in names]
        dims = [int(word) for word in dimensions.split(", ")]
        assert dims == [card.dimension for card in cards], names
        assert {card.sample_rate for card in cards} == {int(rate.replace(" ", ""))}, names
        said = {f"{card.frame_rate:.3g}" if card.frame_rate else "clip" for card in cards}
        assert said == {frames}, names
        for name in names:
            family = FAMILIES.get(name)
            assert outputs == set(family.outputs if family else ("",)) - {""}, name
            assert extra.strip("`") == ((family.extra or "") if family else ""), name
