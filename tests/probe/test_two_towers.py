"""The two towers, against plain modules in float64 that go token by token and pair by pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tower_probe import Plain, attributes, made, mine, plain_recall

from earmark.benchmark.probe import Training
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.towers import Captions, Pairs, Towers, mean_recall, relevance
from earmark.benchmark.probe.two_towers import train_towers

WIDTH = 12  # in place of 1024: what is tested does not depend on it, the time does


@pytest.mark.parametrize("scale", [None, math.log(30), math.log(5000)])
def test_loss_and_gradient_equal_the_plain_towers(scale: float | None) -> None:
    embeddings, captions = made()
    towers = Towers(5, 9, seed=0, width=WIDTH)
    if scale is None:
        assert math.exp(-float(towers.scale.detach())) == pytest.approx(0.07)
    else:
        towers.scale.data = torch.tensor(scale)
    plain = Plain(towers)
    batch = np.random.default_rng(0).permutation(len(captions.clips))[:16]
    owners = captions.clips[batch]
    assert len(set(owners.tolist())) < len(owners)  # captions of one clip meet
    loss = towers.loss(Pairs(embeddings, captions, "cpu"), batch)
    wanted = plain.loss(embeddings, captions, batch)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    loss.backward()
    wanted.backward()
    for one, other in (
        (towers.clip_norm.weight, plain.clip[0].weight),
        (towers.clip_in.weight, plain.clip[1].weight),
        (towers.token.weight, plain.embedding.weight),
        (towers.text_in.bias, plain.text[0].bias),
        (towers.text_out.weight, plain.text[2].weight),
        (towers.scale, plain.scale),
    ):
        assert one.grad is not None
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=2e-3, atol=2e-5)


def test_captions_of_one_clip_alone_have_nothing_to_be_told_from() -> None:
    captions = Captions(np.array([0, 0, 0]), [[1], [2], [3]], 4)
    towers = Towers(5, 4, seed=0)
    loss = towers.loss(Pairs(np.ones((1, 5), np.float32), captions, "cpu"), np.arange(3))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_embeddings_have_unit_length_and_1024_numbers() -> None:
    embeddings, captions = made()
    towers, data = Towers(5, 9, seed=0), Pairs(*made(), "cpu")
    every = np.arange(len(captions.clips))
    with torch.no_grad():
        clips = towers.embed_clips(data.clips(np.arange(len(embeddings))))
        texts = towers.embed_captions(*data.bags(every))
    assert clips.shape == (len(embeddings), 1024)
    assert texts.shape == (len(every), 1024)
    for found in (clips, texts):
        np.testing.assert_allclose(found.norm(dim=1).numpy(), 1, atol=1e-5)
    similarity = towers.similarity(data, np.arange(len(embeddings)))
    np.testing.assert_allclose(similarity, (clips @ texts.T).numpy(), atol=1e-5)
    assert np.abs(similarity).max() <= 1 + 1e-5
    wanted = Plain(towers).similarity(embeddings, captions, np.arange(3))
    np.testing.assert_allclose(towers.similarity(data, np.arange(3)), wanted, atol=1e-5)


def test_layers_begin_as_torch_draws_them_and_leave_its_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, two, other = (Towers(64, 200, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.clip_in.weight, other.clip_in.weight)
    assert not torch.equal(one.token.weight, other.token.weight)
    assert one.clip_in.weight.abs().max() <= 1 / 8  # 1 / sqrt(64)
    assert float(one.clip_in.weight.detach().std()) == pytest.approx(1 / 8 / 3**0.5, rel=0.02)
    assert float(one.token.weight.detach().std()) == pytest.approx(1, rel=0.02)


def test_training_equals_plain_towers_and_adam() -> None:
    embeddings, captions = made(20)
    parts = [np.arange(10), np.arange(10, 15), np.array([18, 15, 16, 17])]
    parts[2] = np.sort(parts[2])
    split = Split("test", *parts, given_train=np.concatenate(parts[:2]))
    training = Training(epochs=5, batch_size=6, learning_rate=0.01, learning_rate_floor=0.1)
    result = train_towers(embeddings, captions, split, [2, 0], training, width=WIDTH)
    bests = []
    for s, seed in enumerate((2, 0)):
        plain = Plain(Towers(5, 9, seed, WIDTH))
        optimiser = torch.optim.Adam(plain.parameters())
        order = np.random.default_rng([seed, 1])
        losses, recalls, tested = [], [], []
        for epoch in range(5):
            for group in optimiser.param_groups:
                group["lr"] = 0.001 + 0.009 * (1 + math.cos(math.pi * epoch / 5)) / 2
            pairs = order.permutation(np.array(mine(captions, split.train)))
            steps = []
            for batch in [pairs[i : i + 6] for i in range(0, len(pairs), 6)]:
                optimiser.zero_grad()
                loss = plain.loss(embeddings, captions, batch)
                loss.backward()
                optimiser.step()
                steps.append(loss.item())
            losses.append(np.mean(steps))
            valid = plain.similarity(embeddings, captions, split.valid)
            recalls.append(plain_recall(valid, captions, split.valid))
            tested.append(plain.similarity(embeddings, captions, split.test))
        np.testing.assert_allclose(result.losses[:, s], losses, rtol=1e-3)
        np.testing.assert_allclose(result.validation[:, s], recalls, atol=1e-9)
        best = recalls.index(max(recalls))
        assert result.best_epochs[s] == best
        np.testing.assert_allclose(result.similarities[s], tested[best], atol=2e-3)
        bests.append((best, recalls))
    assert any(0 < best < 4 or recalls[-1] < max(recalls) for best, recalls in bests)


def test_best_epoch_is_the_first_best_of_the_validation_clips(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embeddings, captions = made(12)
    parts = [np.arange(6), np.arange(6, 9), np.arange(9, 12)]
    split = Split("test", *parts, given_train=np.concatenate(parts[:2]))
    training = Training(epochs=4, batch_size=6, learning_rate=0.01, learning_rate_floor=0.1)
    script = iter([0.1, 0.4, 0.4, 0.3, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4])
    asked = []

    def scripted(similarity: Any, captions: Captions, clips: Any, k: int) -> float:
        asked.append((clips.tolist(), k))
        return next(script)

    monkeypatch.setattr("earmark.benchmark.probe.two_towers.mean_recall", scripted)
    steps: list[tuple[int, int]] = []
    result = train_towers(
        embeddings,
        captions,
        split,
        [0, 1, 2],
        training,
        lambda *step: steps.append(step),
        width=WIDTH,
    )
    assert result.best_epochs.tolist() == [1, 0, 3]
    assert asked == [([6, 7, 8], 1)] * 12
    assert steps == [(i, 12) for i in range(1, 13)]
    assert [one.shape for one in result.similarities] == [(3, len(mine(captions, parts[2])))] * 3


def test_mean_recall_and_relevance_by_hand() -> None:
    captions = Captions(np.array([0, 1, 1, 2, 3, 3]), [[0]] * 6, 1)
    clips = np.array([1, 3])
    assert relevance(captions, clips).astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    similarity = np.array([[0.1, 0.9, 0.2, 0.3], [0.5, 0.1, 0.4, 0.2]], np.float32)
    # clip 1 finds its second caption, clip 3 finds one of clip 1's: 1/2
    # captions: 0.1 < 0.5 wrong, 0.9 right, 0.2 < 0.4 right, 0.3 > 0.2 wrong: 2/4
    assert mean_recall(similarity, captions, clips, 1) == pytest.approx(0.5)
    # of two captions a clip: clip 3 now finds its own with 0.4
    assert mean_recall(similarity, captions, clips, 2) == 1.0
    assert plain_recall(similarity, captions, clips) == pytest.approx(0.5)


def test_toy_is_learned_and_shuffled_captions_are_not() -> None:
    embeddings, captions, split = attributes()
    training = Training(epochs=25, batch_size=16, learning_rate=0.01, learning_rate_floor=0.1)
    learned = train_towers(embeddings, captions, split, [0, 1], training, width=48)
    assert learned.losses[-1].max() < learned.losses[0].min() / 3
    for similarity in learned.similarities:
        assert plain_recall(similarity, captions, split.test) > 0.9
    assert np.abs(learned.similarities[0] - learned.similarities[1]).max() > 1e-3
    again = train_towers(
        embeddings, captions, split, [1], training, width=48
    )  # alone, and bit-equal
    assert again.losses.tobytes() == learned.losses[:, 1:].tobytes()
    assert again.similarities[0].tobytes() == learned.similarities[1].tobytes()
    order = np.random.default_rng(0).permutation(len(captions.tokens))
    mixed = Captions(captions.clips, [captions.tokens[i] for i in order], 15)
    shuffled = train_towers(embeddings, mixed, split, [0, 1], training, width=48)
    for similarity in shuffled.similarities:
        assert plain_recall(similarity, mixed, split.test) < 0.35  # chance is 1 of 14


def test_captions_of_test_clips_reach_no_weight() -> None:
    embeddings, captions, split = attributes()
    training = Training(epochs=3, batch_size=16, learning_rate=0.005, learning_rate_floor=0.1)
    tokens = [[1] if clip >= 50 else own
              for clip, own in zip(captions.clips, captions.tokens, strict=True)]  # fmt: skip
    changed = Captions(captions.clips, tokens, 15)
    one, two = (
        train_towers(embeddings, c, split, [0], training, width=WIDTH) for c in (captions, changed)
    )
    assert one.losses.tobytes() == two.losses.tobytes()
    assert one.best_epochs.tolist() == two.best_epochs.tolist()
    assert one.similarities[0].tobytes() != two.similarities[0].tobytes()
