"""The semantic path against the package `dasheng`, written by the encoder's authors.

Its output for one clip is the reference; at larger batches it pools and masks in its own ways.
"""

from __future__ import annotations

import pytest
import torch
from dasheng_reference import SMALL_SEMANTIC, noise

from earmark.encoders.dasheng import load_dasheng_encoder, random_weights, save_dasheng_file

pytest.importorskip("dasheng", reason="package `dasheng` (extra `test`) is not installed")

STATE = random_weights(SMALL_SEMANTIC, seed=11)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    from dasheng.pretrained.pretrained import Dasheng

    path = save_dasheng_file(tmp_path_factory.mktemp("d") / "small.pt", SMALL_SEMANTIC, STATE)
    # from_pretrained loads with strict=True: the names and shapes are the package's own
    return load_dasheng_encoder("dasheng-base", path), Dasheng.from_pretrained(str(path)).eval()


@pytest.mark.parametrize(
    "n", [480, 640, 5000, 16_000, 161_119, 161_280, 161_439, 161_440, 161_760, 400_000]
)
def test_one_clip(both, n):
    ours, theirs = both
    clip = torch.from_numpy(noise(n, seed=n))[None]
    clip[:, n // 2 :] *= 1e-6  # the clamp at 120 dB takes part
    with torch.inference_mode():
        expected = theirs(clip)
        found = ours.encode(clip, torch.tensor([n])).values
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-5
