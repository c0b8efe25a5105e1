"""The frozen language model behind a trained adapter, against transformers' model called by hand.

The model is a stand-in of random weights whose tokens are single characters, so that tokens can be
written down here without its tokenizer.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import torch
from stand_ins import make_language_model

from earmark.benchmark.probe import adapter
from earmark.benchmark.probe.adapter import Adapter, _Speller, train_adapters
from earmark.benchmark.probe.heads import Training
from earmark.benchmark.probe.language_model import LanguageModel, load_language_model
from earmark.benchmark.probe.splits import Split

TOKENS = ["<|endoftext|>", "<|vision_end|>", "<unk>", *string.ascii_letters, "'", " "]
END, SEPARATOR = 0, 1
LONGEST = 200  # of the protocol
DIMENSION = 6
TEXTS = ["AB CA", "IT'S", "A", "HELLO THERE", "NO", "BE"]
LENGTHS = [7, 4, 9, 3, 9, 5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in with weights ten times as large: what it says then depends on what it hears."""
    from safetensors.torch import load_file, save_file

    made = make_language_model(tmp_path_factory.mktemp("model"))
    weights = load_file(made / "model.safetensors")
    larger = {key: value * (10 if value.ndim == 2 else 1) for key, value in weights.items()}
    save_file(larger, made / "model.safetensors", {"format": "pt"})
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load_language_model(str(folder), "cpu")


def frames(lengths: list[int] = LENGTHS, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [(2 * rng.standard_normal((n, DIMENSION)) + 1).astype(np.float16) for n in lengths]


@pytest.fixture
def speller(model: LanguageModel) -> _Speller:
    return _Speller(frames(), TEXTS, model, 0, "cpu")


def numbers(text: str, *, end: bool = True) -> list[int]:
    return [SEPARATOR, *map(TOKENS.index, text), *([END] if end else [])]


def adapted(speller: _Speller, values: Any) -> torch.Tensor:
    """proj(silu(fc1 x) * fc2 x), written out in float64."""
    weights = {key: value.double() for key, value in speller.adapter.state_dict().items()}
    x = torch.from_numpy(np.asarray(values, np.float64))
    one, two = (x @ weights[f"{n}.weight"].T + weights[f"{n}.bias"] for n in ("fc1", "fc2"))
    gate = one / (1 + torch.exp(-one))
    return (gate * two @ weights["proj.weight"].T + weights["proj.bias"]).float()


def inputs(speller: _Speller, clip: int, tokens: list[int], longest: int = 0) -> torch.Tensor:
    """What the model reads of one clip: adapted frames, padded with zeros before that; tokens."""
    own = speller.frames[clip]
    padded = np.pad(own, ((0, max(0, longest - len(own))), (0, 0)))
    table = speller.model.network.get_input_embeddings().weight
    return torch.cat([adapted(speller, padded), table[tokens]])[None]


def test_adapter_is_the_formula_and_its_widths_the_models(speller: _Speller) -> None:
    shapes = {key: tuple(value.shape) for key, value in speller.adapter.state_dict().items()}
    assert shapes == {
        "fc1.weight": (128, DIMENSION), "fc1.bias": (128,), "fc2.weight": (128, DIMENSION),
        "fc2.bias": (128,), "proj.weight": (64, 128), "proj.bias": (64,),
    }  # fmt: skip
    found = speller.adapter(torch.from_numpy(speller.frames[0]).float())
    torch.testing.assert_close(found, adapted(speller, speller.frames[0]), rtol=1e-4, atol=1e-5)


def test_adapter_begins_as_torch_draws_layers() -> None:
    first = [Adapter(DIMENSION, 5, 4, seed).state_dict() for seed in (0, 0, 1)]
    torch.manual_seed(0)
    for name, shape in (("fc1", (DIMENSION, 5)), ("fc2", (DIMENSION, 5)), ("proj", (5, 4))):
        layer = torch.nn.Linear(*shape)
        for key in ("weight", "bias"):
            assert torch.equal(first[0][f"{name}.{key}"], getattr(layer, key))
            assert torch.equal(first[0][f"{name}.{key}"], first[1][f"{name}.{key}"])
            assert not torch.equal(first[0][f"{name}.{key}"], first[2][f"{name}.{key}"])


def test_drawing_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Adapter(DIMENSION, 5, 4, seed=0)
    assert torch.equal(torch.rand(3), expected)


@torch.no_grad()
def test_loss_of_one_clip_is_the_cross_entropy_of_separator_text_and_end(speller: _Speller) -> None:
    for clip, text in enumerate(TEXTS):
        tokens = numbers(text)
        logits = speller.model.network(inputs_embeds=inputs(speller, clip, tokens)).logits[0]
        # each token by what stands before it, the separator by the last frame
        before = logits[len(speller.frames[clip]) - 1 : -1].double()
        wanted = -torch.log_softmax(before, dim=1)[range(len(tokens)), tokens].mean()
        found = speller.loss(np.array([clip]))
        assert found.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_loss_of_a_batch_equals_transformers_own_with_labels(speller: _Speller) -> None:
    batch = [0, 3, 1, 2]
    longest, most = max(LENGTHS[i] for i in batch), max(len(TEXTS[i]) for i in batch) + 2
    rows, masks, labels = [], [], []
    for clip in batch:
        tokens = numbers(TEXTS[clip])
        spare = most - len(tokens)
        rows.append(inputs(speller, clip, tokens + [END] * spare, longest))
        masks.append(
            [1] * LENGTHS[clip] + [0] * (longest - LENGTHS[clip]) + [1] * len(tokens) + [0] * spare
        )
        labels.append([-100] * longest + tokens + [-100] * spare)
    wanted = speller.model.network(
        inputs_embeds=torch.cat(rows), attention_mask=torch.tensor(masks),
        labels=torch.tensor(labels),
    ).loss  # fmt: skip
    found = speller.loss(np.array(batch))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)


@torch.no_grad()
def test_padding_of_text_is_no_part_of_the_loss(model: LanguageModel) -> None:
    speller = _Speller(frames([6, 6]), ["A", "HELLO THERE"], model, 0, "cpu")
    one, two, both = (speller.loss(np.array(batch)).item() for batch in ([0], [1], [0, 1]))
    shorter, longer = len("A") + 2, len("HELLO THERE") + 2
    assert both == pytest.approx((shorter * one + longer * two) / (shorter + longer), rel=1e-4)


@torch.no_grad()
def test_padding_of_audio_is_heard_by_nobody_but_moves_the_text(speller: _Speller) -> None:
    """The text stands behind the longest clip's frames, for the shorter ones too."""
    short, long = 3, 2
    batch = np.array([long, short])
    tokens = numbers(TEXTS[short])
    heard = speller._hear(batch)
    read, mask = speller._read(batch)
    logits = speller._run(heard, read, mask, None).logits[1, LENGTHS[long] :]
    places = [*range(LENGTHS[short]), *range(LENGTHS[long], LENGTHS[long] + len(tokens))]
    alone = speller.model.network(
        inputs_embeds=inputs(speller, short, tokens), position_ids=torch.tensor([places])
    ).logits[0, LENGTHS[short] :]
    torch.testing.assert_close(logits[: len(tokens)], alone, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def told_by_hand(speller: _Speller, clip: int, spare: int = 0) -> str:
    """One step after the other, each time told what is right so far; no clip is padded."""
    tokens = numbers(TEXTS[clip]) + [END] * spare
    said = []
    for place in range(1, len(tokens) + 1):
        read = inputs(speller, clip, tokens[:place])
        said.append(int(speller.model.network(inputs_embeds=read).logits[0, -1].argmax()))
    return "".join(TOKENS[one] for one in said if one > 1)[: len(TEXTS[clip])]


def test_told_is_the_best_next_character_cut_to_the_texts_length(speller: _Speller) -> None:
    for clip in range(len(TEXTS)):
        assert speller.told(np.array([clip])) == [told_by_hand(speller, clip)]


@torch.no_grad()
def spelt_by_hand(speller: _Speller, clip: int) -> str:
    """Greedy, without a cache; what was said weighs a tenth less the next time."""
    said: list[int] = []
    while len(said) < LONGEST and END not in said:
        read = inputs(speller, clip, [SEPARATOR, *said])
        logits = speller.model.network(inputs_embeds=read).logits[0, -1]
        for one in set(said):
            logits[one] = logits[one] / 1.1 if logits[one] > 0 else logits[one] * 1.1
        said.append(int(logits.argmax()))
    return "".join(TOKENS[one] for one in said if one > 1)


def test_spelling_is_greedy_with_a_repetition_penalty(
    speller: _Speller, recwarn: pytest.WarningsRecorder
) -> None:
    texts = [speller.spell(np.array([clip]))[0] for clip in (0, 3, 5)]
    assert texts == [spelt_by_hand(speller, clip) for clip in (0, 3, 5)]
    assert max(len(text) for text in texts) > 20  # else little was compared
    assert len(recwarn) == 0  # nothing of it reaches the terminal


def test_spelling_ends_with_the_end_or_with_200_tokens(
    speller: _Speller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert adapter.MOST_TOKENS == LONGEST
    lengths = set()
    head = speller.model.network.get_output_embeddings().weight
    kept = head.data.clone()
    for never in (True, False):
        # the end gets what it gets, or the least there is
        if never:
            head.data[END] = -(kept.abs().max(dim=0).values)
        text = speller.spell(np.array([0]))[0]
        assert text == spelt_by_hand(speller, 0)
        lengths.add(len(text))
        head.data.copy_(kept)
    assert max(lengths) <= LONGEST


@torch.no_grad()
def test_spelling_a_batch_is_spelling_each_of_it(speller: _Speller) -> None:
    batch = np.array([3, 2, 0, 5])
    together = speller.spell(batch)
    assert together == [speller.spell(np.array([clip]))[0] for clip in batch]


def test_the_adapter_computes_in_full_precision_where_the_model_does_not(
    speller: _Speller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in X-ARES: no loss is scaled, and in half precision small gradients would be lost."""
    whole = speller._hear(np.array([0, 1])).inputs
    monkeypatch.setattr(speller, "_precision", lambda: torch.autocast("cpu", dtype=torch.bfloat16))
    halved = speller._hear(np.array([0, 1])).inputs
    assert halved.dtype == torch.float32
    assert torch.equal(halved, whole)
    speller.loss(np.array([0, 1])).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in
               speller.adapter.parameters())  # fmt: skip


# ---- training


def training(epochs: int, **changes: Any) -> Training:
    facts: dict[str, Any] = {
        "epochs": epochs, "batch_size": 4, "learning_rate": 3e-3, "learning_rate_floor": 0.1,
    }  # fmt: skip
    return Training(**facts | changes)


def split_of(train: list[int], valid: list[int], test: list[int]) -> Split:
    parts = [np.array(part) for part in (train, valid, test)]
    return Split("test", parts[0], parts[1], parts[2], parts[0])


SPLIT = split_of([0, 1, 2, 3, 4], [5, 0], [1, 5])


def test_training_equals_a_loop_written_out(model: LanguageModel) -> None:
    epochs, seed = 3, 1
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    found = train_adapters(frames(), TEXTS, SPLIT, [seed], training(epochs), model)
    after = model.network.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert all(parameter.grad is None for parameter in model.network.parameters())

    hand = _Speller(frames(), TEXTS, model, seed, "cpu")
    optimiser = torch.optim.Adam(hand.adapter.parameters(), lr=1.0)
    order = np.random.default_rng([seed, 1])
    qualities, spelt = [], []
    for epoch, rate in enumerate((3e-3, 3e-4 + 2.7e-3 * 0.75, 3e-4 + 2.7e-3 * 0.25)):
        optimiser.param_groups[0]["lr"] = rate
        mixed = order.permutation(SPLIT.train)
        losses = []
        for batch in (mixed[:4], mixed[4:]):  # the last one is short
            optimiser.zero_grad()
            loss = hand.loss(batch)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert found.losses[epoch, 0] == pytest.approx(np.mean(losses), rel=1e-5)
        told = hand.told(SPLIT.valid)
        qualities.append(max(0, 1 - jiwer.wer([TEXTS[5], TEXTS[0]], told)))
        spelt.append(hand.spell(SPLIT.test))
    assert found.losses[0, 0] > found.losses[2, 0]
    assert found.validation[:, 0].tolist() == pytest.approx(qualities)
    assert found.best_epochs.tolist() == [int(np.argmax(qualities))]  # the first of the best
    assert [own[0] for own in found.predicted] == spelt[int(np.argmax(qualities))]


@pytest.mark.parametrize("best", [0, 1, 3])
def test_the_weights_of_the_best_epoch_are_tested_the_first_of_equals(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    kept: list[dict[str, torch.Tensor]] = []

    def told(self: _Speller, batch: Any) -> list[str]:
        kept.append(self.weights())
        # in one case no epoch says a right word, in the others some do from `best` on
        right = best and len(kept) - 1 >= best
        return [TEXTS[i].lower() if right and i == 5 else "zzz" for i in batch]

    monkeypatch.setattr(_Speller, "told", told)
    found = train_adapters(frames(), TEXTS, SPLIT, [0], training(4), model)
    assert found.best_epochs.tolist() == [best]
    tested = _Speller(frames(), TEXTS, model, 0, "cpu")
    tested.adapter.load_state_dict(kept[best])
    assert [own[0] for own in found.predicted] == tested.spell(SPLIT.test)


def test_seeds_stand_alone_and_repeat(model: LanguageModel) -> None:
    calls: list[tuple[int, int]] = []
    both = train_adapters(
        frames(), TEXTS, SPLIT, [0, 1], training(2), model, lambda *at: calls.append(at)
    )
    assert calls == [(i + 1, 8) for i in range(8)]
    for column, seed in enumerate((0, 1)):
        alone = train_adapters(frames(), TEXTS, SPLIT, [seed], training(2), model)
        assert alone.losses[:, 0].tobytes() == both.losses[:, column].tobytes()
        assert alone.best_epochs[0] == both.best_epochs[column]
        assert [own[0] for own in alone.predicted] == [own[column] for own in both.predicted]
    assert (both.losses[:, 0] != both.losses[:, 1]).all()


def test_what_is_tested_is_no_part_of_training(model: LanguageModel) -> None:
    other = [*TEXTS]
    other[1] = "QUITE ANOTHER TEXT"
    split = split_of([0, 2, 3, 4], [5, 0], [1])
    one, two = (train_adapters(frames(), texts, split, [0], training(2), model)
                for texts in (TEXTS, other))  # fmt: skip
    assert one.losses.tobytes() == two.losses.tobytes()
    assert one.predicted == two.predicted


def test_it_learns_to_spell_what_it_hears(model: LanguageModel) -> None:
    texts = ["A", "B", "CA"]
    heard = frames([4, 4, 4], seed=2)
    split = split_of([0, 1, 2], [0, 1, 2], [0, 1, 2])
    found = train_adapters(heard, texts, split, [0], training(60, learning_rate=1e-2), model)
    assert found.losses[-1, 0] < found.losses[0, 0] / 4
    # validation does not look beyond the text's length, so the end need not be learned by then
    beginnings = [own[0][: len(text)] for own, text in zip(found.predicted, texts, strict=True)]
    assert beginnings == texts
