"""Losses, learning rate and discriminator against the same written out independently."""

from __future__ import annotations

import math
from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_files import INJECTION

from earmark.encoders.dasheng.training import TrainingError
from earmark.encoders.dasheng.training.config import (
    DiscriminatorConfig,
    LossesConfig,
    MelLossConfig,
    OptimizerConfig,
)
from earmark.encoders.dasheng.training.discriminator import (
    BandDiscriminator,
    MultiFrequencyDiscriminator,
)
from earmark.encoders.dasheng.training.injection import Adversary
from earmark.encoders.dasheng.training.losses import (
    MultiScaleMel,
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    semantic_preservation,
)
from earmark.encoders.dasheng.training.optimization import learning_rate, make_optimizer, take_step
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.start import start_adversary

ALONE = Processes(0, 1, torch.device("cpu"))


def log_mel(samples, window, bands, floor):
    """(bands, frames) in float64: every window cut out and transformed by itself."""
    x = np.pad(samples.astype(np.float64), window // 2, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = range(0, len(x) - window + 1, window // 4)
    magnitude = np.stack([np.abs(np.fft.rfft(x[i : i + window] * hann)) for i in starts], axis=1)
    filters = librosa.filters.mel(
        sr=16_000, n_fft=window, n_mels=bands, fmin=0, fmax=8000, htk=False, norm="slaney",
        dtype=np.float64,
    )  # fmt: skip
    return np.log10(np.maximum(filters @ magnitude, floor) ** 2)


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize(
    "config",
    [MelLossConfig(), MelLossConfig(windows=(64, 512), bands=(10, 40), floor=1e-2)],
    ids=["all", "two"],
)
def test_multi_scale_mel(config):
    rng = np.random.default_rng(1)
    loud = 10 ** rng.uniform(-4, 0, (2, 1))
    true, made = rng.standard_normal((2, 2, 4000)).astype(np.float32) * loud.astype(np.float32)
    made[0, 1000:2500] = 0  # below the floor
    expected = [
        np.mean(
            [
                np.abs(
                    log_mel(m, window, bands, config.floor)
                    - log_mel(t, window, bands, config.floor)
                )
                for m, t in zip(made, true, strict=True)
            ]
        )
        for window, bands in zip(config.windows, config.bands, strict=True)
    ]
    found = MultiScaleMel(config)(torch.from_numpy(made), torch.from_numpy(true))
    assert found.item() == pytest.approx(np.mean(expected), rel=2e-4)


def test_multi_scale_mel_has_gradients_at_silence():
    made = torch.zeros(1, 4000, requires_grad=True)
    loss = MultiScaleMel(MelLossConfig())(made, torch.ones(1, 4000).cumsum(1) % 7)
    loss.backward()
    assert torch.isfinite(made.grad).all()
    true = torch.rand(1, 4000)
    assert MultiScaleMel(MelLossConfig())(true, true).item() == 0


def test_semantic_preservation():
    acoustic = torch.tensor([[[1.0, 2.0], [0.0, 4.0]]])
    semantic = torch.tensor([[[0.0, 2.0], [3.0, 2.0]]])
    assert semantic_preservation(acoustic, semantic).item() == (1 + 0 + 9 + 4) / 4


VERDICTS = [  # of two discriminators: an inner layer, then the verdict
    [torch.tensor([[9.0]]), torch.tensor([[0.5, 2.0]])],
    [torch.tensor([[-7.0]]), torch.tensor([[-3.0]])],
]
OTHERS = [
    [torch.tensor([[6.0]]), torch.tensor([[-2.0, -0.5]])],
    [torch.tensor([[-8.0]]), torch.tensor([[1.0]])],
]


def test_hinges():
    # true 0.5, 2: (0.5 + 0) / 2, made -2, -0.5: (0 + 0.5) / 2; true -3: 4, made 1: 2
    assert discriminator_hinge(VERDICTS, OTHERS).item() == ((0.25 + 0.25) + (4 + 2)) / 2
    assert generator_hinge(OTHERS).item() == (1.25 - 1) / 2


def test_feature_matching():
    # the verdicts are no features
    assert feature_matching(VERDICTS, OTHERS).item() == pytest.approx((3 / 9 + 1 / 7) / 2)
    # of half a batch, beside another whose magnitudes are twice as large
    whole = feature_matching(VERDICTS, OTHERS, lambda magnitudes: 1.5 * magnitudes)
    assert whole.item() == pytest.approx((3 / 9 + 1 / 7) / 2 / 1.5)
    true = [[torch.tensor([[2.0, -4.0]]), torch.tensor([[1.0, 1.0]]), torch.ones(1)]]
    made = [[torch.tensor([[3.0, -1.0]]), torch.tensor([[1.0, 0.0]]), torch.zeros(1)]]
    assert feature_matching(true, made).item() == pytest.approx((2 / 3 + 0.5 / 1) / 2)


def test_learning_rate():
    config = OptimizerConfig(rate=2.0, warmup=4, final=0.1)
    assert [learning_rate(config, step, 14) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert learning_rate(config, 4, 14) == 2.0
    assert learning_rate(config, 9, 14) == pytest.approx(1.1)  # half way: mean of both ends
    quarter = 0.2 + 1.8 * (1 + math.sqrt(0.5)) / 2
    assert learning_rate(config, 4 + 5, 24) == pytest.approx(quarter)
    assert learning_rate(config, 14, 14) == pytest.approx(0.2)
    assert learning_rate(OptimizerConfig(rate=3.0, warmup=0), 0, 5) == 3.0


def test_a_step_is_clipped_and_decays_matrices_only():
    network = torch.nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.fill_(1.0)
        network.bias.fill_(1.0)
    config = OptimizerConfig(rate=9.0, weight_decay=0.5, clip=0.5, betas=(0.0, 0.0))
    optimizer = make_optimizer(network, config)
    norm = take_step(optimizer, network(torch.tensor([3.0, 0.0])).sum(), 0.1, config.clip)
    assert norm.item() == pytest.approx(math.sqrt(10))  # gradients 3, 0 and 1
    assert network.weight.grad[0, 0].item() == pytest.approx(0.5 * 3 / math.sqrt(10))
    # decay 1 - 0.1 x 0.5, then Adam's step of the rate's size in the gradient's direction
    assert network.weight[0].tolist() == pytest.approx([0.95 - 0.1, 0.95])
    assert network.bias.item() == pytest.approx(1 - 0.1)


def test_gradients_that_are_not_finite_change_nothing():
    network = torch.nn.Linear(1, 1)
    before = [weight.clone() for weight in network.parameters()]
    optimizer = make_optimizer(network, OptimizerConfig())
    with pytest.raises(TrainingError, match="not finite; lower"):
        take_step(optimizer, network(torch.tensor([torch.inf])).sum(), 0.1, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@given(
    window=st.integers(16, 600).map(lambda n: 4 * n),
    inner=st.sets(st.integers(1, 19), max_size=5),
)
@settings(max_examples=15, deadline=None)
def test_every_bin_is_in_one_band(window, inner):
    config = DiscriminatorConfig(
        windows=(window,), bands=(0.0, *(i / 20 for i in sorted(inner)), 1.0), channels=1
    )
    network = BandDiscriminator(window, config)
    bins = [i for low, high in network.edges for i in range(low, high)]
    assert bins == list(range(window // 2 + 1))
    assert len(network.edges) == len(config.bands) - 1


def test_discriminator_sees_every_bin_and_ends_in_the_verdict():
    config = DiscriminatorConfig(windows=(64, 128), bands=(0.0, 0.3, 1.0), channels=2)
    network = MultiFrequencyDiscriminator(config)
    start_adversary(network, 0)
    found = network(torch.randn(3, 1000))
    assert [len(layers) for layers in found] == [2 * 5 + 1] * 2
    for window, layers in zip(config.windows, found, strict=True):
        assert all(layer.shape[:2] == (3, 2) for layer in layers[:-1])
        assert layers[-1].shape[:2] == (3, 1)
        assert layers[-1].shape[2] == 1 + 1000 // (window // 4)  # no stride over time
    # a tone anywhere is heard: the verdict's sum has a gradient there
    for hertz in (100, 2300, 2600, 7900):
        tone = torch.sin(2 * torch.pi * hertz / 16_000 * torch.arange(1000.0))[None]
        loudness = torch.ones(1, 1, requires_grad=True)
        for layers in network(loudness * tone):
            (slope,) = torch.autograd.grad(layers[-1].square().sum(), loudness, retain_graph=True)
            assert slope.abs() > 0


def test_the_generator_is_moved_by_a_discriminator_that_stays():
    adversary = Adversary(INJECTION, ALONE)
    start_adversary(adversary, 0)
    made, true = torch.randn(2, 2, 800)
    made.requires_grad_()
    adversary.requires_grad_(False)
    losses = adversary(made, true, judging=False)
    assert set(losses) == {"adversarial", "feature_matching"}
    for loss in losses.values():
        made.grad = None
        loss.backward(retain_graph=True)
        assert made.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in adversary.parameters())
    adversary.requires_grad_(True)
    adversary(made.detach(), true, judging=True)["discriminator"].backward()
    assert all(weight.grad is not None for weight in adversary.parameters())


def test_losses_that_are_off_are_not_computed():
    for off, left in (("adversarial", "feature_matching"), ("feature_matching", "adversarial")):
        config = replace(INJECTION, losses=LossesConfig(**{off: 0.0}))
        losses = Adversary(config, ALONE)(torch.randn(1, 800), torch.randn(1, 800), judging=False)
        assert list(losses) == [left]
