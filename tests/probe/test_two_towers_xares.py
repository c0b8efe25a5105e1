"""Captions as X-ARES learns them, against plain modules that go by the words of the protocol."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from frame_tasks import make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import make_bert

from earmark import evaluate
from earmark.benchmark.probe import Training
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.tokens import tokenise, tokens_kind
from earmark.benchmark.probe.towers import Captions, DotProductTowers, Pairs, TowerResult
from earmark.benchmark.probe.two_towers import train_towers
from earmark.benchmark.protocol import STRICT, XARES
from earmark.benchmark.result.schema import Predictions
from earmark.benchmark.shards.dataset import DataError

WIDTH = 12  # in place of 1024: what is tested does not depend on it, the time does
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
def bert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache with a tokenizer in the manner of BERT's that knows letters."""
    make_bert(tmp_path / "hub" / "models--google-bert--bert-base-uncased", as_cache=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


class Theirs(torch.nn.Module):
    """Both towers in float64, with padded batches of tokens, begun from those that are tested."""

    def __init__(self, towers: DotProductTowers) -> None:
        super().__init__()
        linear, nn = torch.nn.Linear, torch.nn
        dimension, width = towers.clip_in.in_features, towers.clip_in.out_features
        self.norm = nn.LayerNorm(dimension)
        self.clip = nn.Sequential(linear(dimension, width), nn.GELU(), linear(width, width))
        self.token = nn.Embedding(towers.token.num_embeddings, width)
        self.text = nn.Sequential(linear(width, width), nn.GELU(), linear(width, width))
        for mine, theirs in (
            (self.norm, towers.clip_norm), (self.clip[0], towers.clip_in),
            (self.clip[2], towers.clip_out), (self.token, towers.token),
            (self.text[0], towers.text_in), (self.text[2], towers.text_out),
        ):  # fmt: skip
            mine.load_state_dict(theirs.state_dict())
        self.scale = nn.Parameter(towers.scale.detach().clone())
        self.double()

    def forward(self, x: Any, lists: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(map(len, lists))
        tokens = torch.tensor([own + [0] * (longest - len(own)) for own in lists])
        mask = torch.tensor([[1.0] * len(own) + [0.0] * (longest - len(own)) for own in lists])
        texts = self.text(self.token(tokens)) * mask[:, :, None]
        x = torch.from_numpy(np.asarray(x, np.float64))
        return self.clip(self.norm(x)), texts.sum(dim=1) / mask.sum(dim=1, keepdim=True)

    def loss(self, x: Any, lists: list[list[int]]) -> torch.Tensor:
        """Every caption but a clip's own at this place is a negative; lengths are as they are."""
        clips, texts = self(x, lists)
        total = torch.zeros((), dtype=torch.float64)
        for similar in (self.scale.exp() * clips @ texts.T, self.scale.exp() * texts @ clips.T):
            for row, own in enumerate(similar):
                total = total - torch.log_softmax(own, dim=0)[row] / (2 * len(similar))
        for side in (clips, texts):
            total = total + side.abs().mean() / (side**2).sum().sqrt()
        return total


def made(count: int = 14, dimension: int = 5, each: int = 0) -> tuple[Any, Captions]:
    rng = np.random.default_rng(3)
    clips = np.repeat(np.arange(count), each or rng.integers(1, 4, count))
    tokens = [rng.integers(0, 9, rng.integers(1, 6)).tolist() for _ in clips]
    embeddings = (3 * rng.standard_normal((count, dimension)) + 1).astype(np.float32)
    return embeddings, Captions(clips, tokens, 9)


@pytest.mark.parametrize("scale", [None, math.log(3), math.log(300)])
def test_loss_and_gradient_equal_the_plain_towers(scale: float | None) -> None:
    embeddings, captions = made()
    towers = DotProductTowers(5, 9, seed=0, width=WIDTH)
    if scale is None:
        assert math.exp(-float(towers.scale.detach())) == pytest.approx(0.07)
    else:
        towers.scale.data = torch.tensor(scale)  # nothing bounds it
    theirs = Theirs(towers)
    batch = np.random.default_rng(0).permutation(len(captions.clips))[:16]
    assert len(set(captions.clips[batch].tolist())) < 16  # captions of one clip meet
    loss = towers.loss(Pairs(embeddings, captions, "cpu"), batch)
    wanted = theirs.loss(embeddings[captions.clips[batch]], [captions.tokens[i] for i in batch])
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    loss.backward()
    wanted.backward()
    for one, other in (
        (towers.clip_norm.weight, theirs.norm.weight),
        (towers.clip_in.weight, theirs.clip[0].weight),
        (towers.token.weight, theirs.token.weight), (towers.text_out.weight, theirs.text[2].weight),
        (towers.scale, theirs.scale),
    ):  # fmt: skip
        assert one.grad is not None and other.grad is not None
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=3e-3, atol=3e-4)


@torch.no_grad()
def test_similarity_is_the_cosine() -> None:
    embeddings, captions = made(each=2)
    towers = DotProductTowers(5, 9, seed=2, width=WIDTH)
    items = np.array([3, 1, 8])
    found = towers.similarity(Pairs(embeddings, captions, "cpu"), items)
    own = [i for i, clip in enumerate(captions.clips) if clip in (1, 3, 8)]
    clips, texts = Theirs(towers)(embeddings[items], [captions.tokens[i] for i in own])
    for row, clip in zip(found, clips.numpy(), strict=True):
        for value, text in zip(row, texts.numpy(), strict=True):
            cosine = clip @ text / np.linalg.norm(clip) / np.linalg.norm(text)
            assert value == pytest.approx(cosine, abs=1e-5)


# ---- the order of learning

counts = st.lists(st.integers(1, 6), min_size=1, max_size=400)


def orders(each: list[int], clips: Any, seed: int = 0) -> tuple[Captions, Any]:
    captions = Captions(np.repeat(np.arange(len(each)), each), [[1]] * sum(each), 2)
    rng = np.random.default_rng(seed)
    return captions, DotProductTowers.order(captions, np.asarray(clips), rng)


@settings(max_examples=25, deadline=None)
@given(counts, st.randoms(use_true_random=False))
def test_order_is_a_permutation_of_the_clips_captions(each: list[int], random: Any) -> None:
    chosen = random.sample(range(len(each)), random.randint(1, len(each)))
    captions, order = orders(each, chosen)
    wanted = [i for i, clip in enumerate(captions.clips) if clip in set(chosen)]
    assert sorted(order.tolist()) == wanted
    assert order.dtype == np.int64


def test_order_is_drawn_from_a_window() -> None:
    """512 captions wide: none is learned much before its turn, and a clip's own stay near."""
    each = [5] * 2000
    _, order = orders(each, np.arange(2000))
    place = np.empty(10_000)
    place[order] = np.arange(10_000)
    # clips come at random, so a clip's turn is told by the mean place of its captions
    by_clip = place.reshape(2000, 5)
    spread = by_clip.max(axis=1) - by_clip.min(axis=1)
    # waiting in a window of 512 is geometric: 512 / 1 draw on average
    assert 900 < spread.mean() < 1500  # of five such: 512 * (1 + 1/2 + 1/3 + 1/4) = 1067
    assert np.corrcoef(np.arange(2000), by_clip.mean(axis=1))[0, 1] ** 2 < 0.01
    _, again = orders(each, np.arange(2000))
    assert (again == order).all()
    _, other = orders(each, np.arange(2000), seed=1)
    assert (other != order).any()


def test_nothing_is_learned_before_it_has_come_into_the_window() -> None:
    """The i-th draw is from what was read by then: 100 at first, two more each, 512 at most."""

    class Told(np.random.Generator):
        """Leaves clips as they come, and always takes the last of the window."""

        def permutation(self, x: Any, axis: int = 0) -> Any:
            return np.asarray(x)

        def integers(self, low: Any, *_: Any, **__: Any) -> Any:
            sizes.append(int(low))
            return int(low) - 1

    sizes: list[int] = []
    captions = Captions(np.arange(1500), [[1]] * 1500, 2)
    order = DotProductTowers.order(captions, np.arange(1500), Told(np.random.PCG64(0)))
    assert sorted(order.tolist()) == [*range(1500)]
    # a buffer that is filled by two and drained by one until it is full
    window, wanted, drawn, source = 0, [], [], iter(range(1500))
    held: list[int] = []
    for one in source:
        held.append(one)
        if len(held) < 512:
            held += [next(source)] if one < 1499 else []
        window = len(held)
        if window >= 100:
            wanted.append(window)
            drawn.append(held.pop())
    assert sizes == wanted and max(sizes) == 512 and sizes[0] == 100
    assert order.tolist() == drawn + held


# ---- training


def test_training_equals_the_plain_towers() -> None:
    embeddings, captions = made(count=16, each=2)
    train, valid, test = np.arange(9), np.arange(9, 12), np.arange(12, 16)
    split = Split("test", train, valid, test, train)
    epochs, size, seed = 3, 7, 1
    training = Training(epochs=epochs, batch_size=size, learning_rate=3e-3, learning_rate_floor=0.1)
    found = train_towers(
        embeddings, captions, split, [seed], training, unit_length=False, width=WIDTH
    )
    start = DotProductTowers(5, 9, seed, WIDTH)
    theirs = Theirs(start)
    optimiser = torch.optim.Adam(theirs.parameters(), lr=1.0)
    rng = np.random.default_rng([seed, 1])
    reached, tested = [], []

    def recall(clips: Any) -> tuple[float, Any]:
        with torch.no_grad():
            own = captions.of(clips)
            a, b = theirs(embeddings[clips], [captions.tokens[i] for i in own])
            similar = torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T
        owners = captions.clips[own]
        ways = (owners[similar.argmax(1)] == clips, clips[similar.argmax(0)] == owners)
        return float(np.mean([way.mean() for way in ways])), similar.numpy()

    for epoch, rate in enumerate((3e-3, 3e-4 + 2.7e-3 * 0.75, 3e-4 + 2.7e-3 * 0.25)):
        optimiser.param_groups[0]["lr"] = rate
        order = DotProductTowers.order(captions, train, rng)
        losses = []
        for i in range(0, len(order), size):
            optimiser.zero_grad()
            batch = order[i : i + size]
            loss = theirs.loss(
                embeddings[captions.clips[batch]], [captions.tokens[j] for j in batch]
            )
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert found.losses[epoch, 0] == pytest.approx(np.mean(losses), rel=2e-3)
        reached.append(recall(valid)[0])
        tested.append(recall(test)[1])
    assert found.validation[:, 0].tolist() == pytest.approx(reached)
    best = int(np.argmax(reached))
    assert found.best_epochs.tolist() == [best]
    np.testing.assert_allclose(found.similarities[0], tested[best], atol=2e-3)


# ---- tokens


def test_tokens_are_berts_with_those_that_begin_and_end(bert: None) -> None:
    numbers = {piece: i for i, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS])}
    pieces = {f"##{piece}": 40 + i for i, piece in enumerate(LETTERS)}
    found = tokenise(["A dog", "dog, é?"], [True, False], "bert")
    dog = [numbers["d"], pieces["##o"], pieces["##g"]]
    assert found.lists[0] == [2, numbers["a"], *dog, 3]
    assert found.lists[1][:4] == [2, *dog] and found.lists[1][-1] == 3
    assert found.vocabulary == 4 + 2 * len(LETTERS) + 4
    assert "begin and end" in found.kind


def test_long_captions_are_not_cut(bert: None) -> None:
    (tokens,) = tokenise(["a b " * 400], [True], "bert").lists
    assert len(tokens) == 802


def test_without_a_tokenizer_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for function in (lambda: tokens_kind("bert"), lambda: tokenise(["a"], [True], "bert")):
        with pytest.raises(DataError) as caught:
            function()
        line = str(caught.value)
        assert "\n" not in line
        assert "google-bert/bert-base-uncased" in line and "HF_HUB_OFFLINE is set" in line
        assert "hf download google-bert/bert-base-uncased tokenizer.json" in line
    assert tokens_kind() == "words"  # `strict` needs none
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install"):
        tokens_kind("bert")


# ---- a run


def test_a_run_learns_by_dot_products_and_ranks_every_caption(
    bert: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(*arguments: Any, **words: Any) -> TowerResult:
        asked.append(words)
        return train_towers(*arguments, **words)

    monkeypatch.setattr("earmark.benchmark.score.captions.train_towers", train)
    task = make_task(tmp_path, "captions", counts={"train": 12, "valid": 4, "test": 6})
    common: dict[str, Any] = {"data": tmp_path / "data", "results": tmp_path / "r", "device": "cpu"}
    (result,) = evaluate("logmel", str(task), protocol=XARES, **common)
    assert result.error is None
    score = result.scores["linear"]
    assert "begin and end" in (score.tokens or "")
    (file,) = (tmp_path / "r").rglob("*.npz")
    predictions = Predictions.load(file)
    to_text = np.mean(predictions.linear[:, 0] == 0)
    to_clip = np.mean(predictions.caption_ranks[:, 0] == 0)
    assert len(predictions.linear) == 6 and len(predictions.caption_ranks) == 12
    assert score.value == pytest.approx((to_text + to_clip) / 2)
    quick = dataclasses.replace(STRICT, least_updates=40)
    (strict,) = evaluate("logmel", str(task), seeds=1, protocol=quick, **common)
    # though BERT's lie in the cache
    assert strict.scores["linear"].tokens == "words of the training captions"
    assert asked == [{"unit_length": False, "width": 1024}, {"unit_length": True, "width": 128}]
