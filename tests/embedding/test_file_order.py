"""Embeddings as X-ARES makes them: batches in the order of the tar, padding kept, crops lost.

What is expected comes from a list of crops cut into batches here, in float64, one crop at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clips import audio_bytes, clip_members, write_tar
from file_order import (
    HOP,
    RATE,
    SETTINGS,
    Recorder,
    check,
    check_batches,
    embed,
    frames_of,
    made,
    named,
    noise,
    view,
    worked_out,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xares_files import XARES as XARES_FILE

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.collectors import EmbeddingRequest, FileOrder
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.shards.shard import read_shard
from earmark.encoders import Frames, load_encoder
from earmark.encoders.shared import OutputEncoder, SharedPass


def test_batches_follow_the_tar_not_the_keys(tmp_path: Path) -> None:
    clips = named("zbmaqcx", 95, 40, 200, 61, 10, 140, 77)
    encoder = Recorder()
    (found,) = embed(made(clips, tmp_path), view(encoder, 3))
    expected = worked_out(clips, 3, None, first_only=True)
    check_batches(encoder, expected)
    assert [len(waveforms) for waveforms, _ in encoder.seen] == [3, 3, 1]  # the last is short
    check(found, clips, expected)
    # padding counts: clip b is 40 samples of noise in a batch 200 long
    alone = np.array([[block.mean() + 1, block.max()] for block in clips[1][1].reshape(-1, HOP)])
    assert abs(found.embeddings[1] - alone.mean(axis=0)).max() > 0.1


def test_clips_one_by_one_are_not_padded(tmp_path: Path) -> None:
    clips = named("zbma", 95, 40, 200, 61)
    encoder = Recorder()
    (found,) = embed(made(clips, tmp_path), view(encoder, 1))
    assert [waveforms.shape for waveforms, _ in encoder.seen] == [
        (1, 95), (1, 40), (1, 200), (1, 61),
    ]  # fmt: skip
    check(found, clips, worked_out(clips, 1, None, first_only=True))


def test_of_a_clips_crops_in_a_batch_the_first_is_kept_and_of_the_next_batch_again(
    tmp_path: Path,
) -> None:
    # of 50 samples: clip z has 5 crops, b (shorter) 1, m 3 with 20 samples left over
    clips = named("zbm", 250, 30, 170)
    encoder = Recorder()
    (found,) = embed(made(clips, tmp_path), view(encoder, 4, 0.05))
    # | z0 z1 z2 z3 | z4 b0 m0 m1 | m2 |
    assert [len(waveforms) for waveforms, _ in encoder.seen] == [4, 4, 1]
    assert found.crops == [2, 1, 2]
    kept = [clips[0][1][:50], clips[0][1][200:], np.pad(clips[1][1], (0, 20)), clips[2][1][:50],
            clips[2][1][100:150]]  # fmt: skip
    means = [[piece.mean() + 1, piece.reshape(-1, HOP).max(axis=1).mean()] for piece in kept]
    np.testing.assert_allclose(found.embeddings, means, rtol=1e-5, atol=1e-6)
    (every,) = embed(tmp_path / "clips.tar", view(encoder, 4, 0.05, first_only=False))
    assert every.crops == [5, 1, 3]
    check(every, clips, worked_out(clips, 4, 50, first_only=False))


def test_a_batch_of_short_clips_alone_is_padded_to_the_crop(tmp_path: Path) -> None:
    clips = named("ab", 20, 30)
    encoder = Recorder()
    embed(made(clips, tmp_path), view(encoder, 2, 0.05))
    assert [waveforms.shape for waveforms, _ in encoder.seen] == [(2, 50)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=9),
    st.integers(1, 5),
    st.sampled_from([None, 30, 50]),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_equals_crops_cut_into_batches(
    tmp_path: Path, lengths: list[int], size: int, crop: int | None, first_only: bool,
    frames: bool, random: Any,
) -> None:  # fmt: skip
    names = [f"k{i:02d}" for i in range(len(lengths))]
    random.shuffle(names)
    clips = list(zip(names, noise(*lengths), strict=True))
    expected = worked_out(clips, size, crop, first_only)
    encoder = Recorder()
    seconds = None if crop is None else crop / RATE
    (found,) = embed(
        made(clips, tmp_path), view(encoder, size, seconds, frames=frames, first_only=first_only)
    )
    check_batches(encoder, expected)
    check(found, clips, expected)


def test_frames_are_stored_with_their_padding(tmp_path: Path) -> None:
    clips = named("dcba", 100, 35, 60, 20)
    (found,) = embed(made(clips, tmp_path), view(Recorder(), 2, frames=True))
    assert found.frames == [10, 10, 6, 6]
    assert found.embeddings.dtype == np.float16
    check(found, clips, worked_out(clips, 2, None, first_only=True))
    # beyond clip c's 35 samples there is nothing but the constant
    np.testing.assert_array_equal(found.embeddings[14:20], np.tile([1, 0], (6, 1)))
    assert found.seconds == [0.1, 0.035, 0.06, 0.02]  # the files' own


def test_what_cannot_be_decoded_takes_no_place_in_a_batch(tmp_path: Path) -> None:
    clips = named("zbma", 95, 40, 200, 61)
    path = made(clips, tmp_path, clip_members("broken", b"RIFFnothing", {}), at=1)
    encoder = Recorder()
    (found,) = embed(path, view(encoder, 2))
    check_batches(encoder, worked_out(clips, 2, None, first_only=True))
    check(found, clips, worked_out(clips, 2, None, first_only=True))
    assert [failure.key for failure in found.failures] == ["broken"]


def test_of_a_batch_that_the_encoder_fails_on_the_others_keep_its_padding(tmp_path: Path) -> None:
    clips = named("zbma", 95, 40, 200, 61)
    clips[1][1][5] = 0.5
    (found,) = embed(made(clips, tmp_path), view(Recorder(refused=0.5), 3))
    assert [failure.key for failure in found.failures] == ["b"]
    assert "not this one" in found.failures[0].reason
    assert found.transient  # it may pass, so it is not to be stored
    expected = worked_out(clips, 3, None, first_only=True)
    check(found, [clips[0], *clips[2:]], expected)


def test_a_batch_ends_with_its_shard(tmp_path: Path) -> None:
    shards = []
    encoder = Recorder()
    for name, keys in (("one", "zba"), ("two", "yx")):
        clips = named(keys, *range(30, 30 + 10 * len(keys), 10))
        shards.append(read_shard(made(clips, tmp_path / name)))
    list(embed_shards([ShardJob(shard, (view(encoder, 2),)) for shard in shards], SETTINGS))
    assert [waveforms.shape for waveforms, _ in encoder.seen] == [(2, 40), (1, 50), (2, 40)]


def test_some_of_a_shards_clips_follow_the_tar_too(tmp_path: Path) -> None:
    clips = named("zbmaq", 95, 40, 200, 61, 30)
    encoder = Recorder()
    path = made(clips, tmp_path)
    (found,) = embed(path, view(encoder, 2), keys=frozenset("zaq"))
    chosen = [clips[0], clips[3], clips[4]]
    check_batches(encoder, worked_out(chosen, 2, None, first_only=True))
    check(found, chosen, worked_out(chosen, 2, None, first_only=True))


class Net(SharedPass):
    """Frames as they are, and their negatives."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[tuple[tuple[str, ...], tuple[int, ...]]] = []

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        self.passes.append((tuple(outputs), tuple(waveforms.shape)))
        values = frames_of(waveforms)
        both = {"up": values, "down": -values}
        return {name: Frames(both[name], (lengths // HOP).clamp(min=1)) for name in outputs}


class Output(OutputEncoder):
    sample_rate, embedding_dim, frame_rate = RATE, 2, RATE / HOP

    def __init__(self, shared: SharedPass, output: str) -> None:
        super().__init__(shared, output)
        self.name = output


def test_two_encoders_of_one_pass_take_one_and_other_batches_another(tmp_path: Path) -> None:
    clips = named("zbmaq", 95, 40, 200, 61, 30)
    net = Net()
    up, down = Output(net, "up"), Output(net, "down")
    found = embed(
        made(clips, tmp_path),
        view(up, 2), view(down, 2), view(up, 2, frames=True), view(up, 3), view(up, 2, 0.05),
    )  # fmt: skip
    by_two = worked_out(clips, 2, None, first_only=True)
    check(found[0], clips, by_two)
    check(found[2], clips, by_two)
    check(found[3], clips, worked_out(clips, 3, None, first_only=True))
    check(found[4], clips, worked_out(clips, 2, 50, first_only=True))
    np.testing.assert_array_equal(found[1].embeddings, -found[0].embeddings)
    shapes = [shape for outputs, shape in net.passes if len(outputs) == 2]
    assert shapes == [batch.shape for batch in by_two.batches]
    assert len(net.passes) == 3 + 2 + 4  # of two clips, of three, of two of 8 crops


def test_an_encoder_file_of_the_package_gets_padded_batches(tmp_path: Path) -> None:
    """It knows no lengths; under `strict` it would get clips of one length only."""
    file = tmp_path / "their_encoder.py"
    file.write_text(XARES_FILE.format(name="ToneEncoder", weight=0.5))
    encoder = load_encoder(str(file))
    clips = noise(9_000, 4_000, 12_000)
    members = [
        member
        for key, clip in zip("cab", clips, strict=True)
        for member in clip_members(key, audio_bytes(clip, 16_000, subtype="FLOAT"), {})
    ]
    path = write_tar(tmp_path / "clips.tar", members)
    wanted = EmbeddingRequest(
        encoder, AudioPipeline(16_000, None, "torchaudio"), False, FileOrder(2, True)
    )
    (found,) = embed(path, wanted)
    batch = torch.from_numpy(np.stack([clips[0], np.pad(clips[1], (0, 5_000))])).float()
    layer = encoder.get_submodule("wrapped.layer")
    for row, audio in zip(
        found.embeddings, [*batch, torch.from_numpy(clips[2]).float()], strict=True
    ):
        frames = torch.nn.functional.pad(audio, (0, -len(audio) % 640)).view(-1, 640)
        np.testing.assert_allclose(row, layer(frames).detach().mean(dim=0), rtol=1e-4, atol=1e-5)
