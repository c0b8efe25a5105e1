"""Codecs: the continuous latent before the quantiser, the one after it, and decoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from earmark.encoders.baselines.pieces import (
    PASS_SECONDS,
    PIECE_SECONDS,
    Outputs,
    cut,
    join_pieces,
    run_equal,
)
from earmark.encoders.encoder import AudioEncoder, Codec, Frames
from earmark.encoders.family import full_name
from earmark.encoders.shared import OutputEncoder, SharedPass

QUANTISED = "quantized"


class CodecPass(SharedPass):
    """A codec: outputs "" (the latent as the quantiser gets it) and `quantized` (as it leaves).

    Only clips of exactly equal length share a pass, so no padding reaches a clip that the codec
    itself would not add. Clips longer than 30 s are cut into pieces of 30 s (of whole blocks), in
    encoding and in decoding alike.

    hop: samples a frame. block: frames of which audio must be a whole number, filled up with
        zeros; None where the codec does as it likes with the rest. Frames beyond the clip, which
        has one for every hop that is begun, are dropped.
    facts: its configuration.
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        hop: int,
        embedding_dim: int,
        facts: dict[str, Any],
        block: int | None = None,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop, self.block = int(sample_rate), int(hop), block
        self.embedding_dim = int(embedding_dim)
        self.facts: dict[str, Any] = {"model": facts, "piece_seconds": PIECE_SECONDS}

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, T) samples -> (B, D, F) latents before the quantiser."""
        raise NotImplementedError

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, D, F) -> (B, D, F): what all codebooks together make of latents."""
        raise NotImplementedError

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, D, F) quantised latents -> (B, F x hop) samples."""
        raise NotImplementedError

    @property
    def piece_frames(self) -> int:
        """Frames of a piece: 30 s, in whole blocks."""
        block = self.block or 1
        return PIECE_SECONDS * self.sample_rate // (self.hop * block) * block

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        pieces, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            for start, stop in cut(length, self.piece_frames * self.hop):
                pieces.append(waveform[start:stop])
                owners.append(owner)
        run = partial(self._encode, outputs=outputs)
        return join_pieces(owners, run_equal(pieces, self._at_once(pieces, 1), run), outputs)

    def decode_frames(self, frames: Frames, *, quantise: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (B, T) and lengths (B,): `hop` samples for each of a clip's frames."""
        pieces, owners = [], []
        for owner, (values, length) in enumerate(
            zip(frames.values, frames.lengths.tolist(), strict=True)
        ):
            for start, stop in cut(length, self.piece_frames):
                pieces.append(values[start:stop])
                owners.append(owner)
        run = partial(self._decode, quantise=quantise)
        found = run_equal(pieces, self._at_once(pieces, self.hop), run)
        audio = join_pieces(owners, found, ("audio",))["audio"]
        return audio.values, audio.lengths

    def _at_once(self, pieces: Sequence[torch.Tensor], step: int) -> int:
        """Pieces in one pass; step: samples that one entry of a piece stands for."""
        longest = max(len(piece) for piece in pieces) * step
        return max(1, PASS_SECONDS * self.sample_rate // max(longest, 1))

    def _encode(self, audio: torch.Tensor, outputs: Sequence[str]) -> Outputs:
        frames = -(-audio.shape[1] // self.hop)
        if self.block is not None:
            whole = -(-frames // self.block) * self.block * self.hop
            audio = torch.nn.functional.pad(audio, (0, whole - audio.shape[1]))
        latents = self.latents(audio)
        found = {"": latents}
        if QUANTISED in outputs:
            found[QUANTISED] = self.quantise(latents)
        return {output: found[output][:, :, :frames].transpose(1, 2) for output in outputs}

    def _decode(self, values: torch.Tensor, *, quantise: bool) -> Outputs:
        count = values.shape[1]
        latents = values.float().transpose(1, 2)
        short = -count % (self.block or 1)
        if short:
            # the frames that filled up the block were dropped; the last one stands in for them
            latents = torch.cat([latents, latents[:, :, -1:].expand(-1, -1, short)], dim=2)
        if quantise:
            latents = self.quantise(latents)
        return {"audio": self.synthesise(latents)[:, : count * self.hop]}


class CodecEncoder(OutputEncoder, Codec):
    """A latent of a codec, from which the codec can decode.

    Decoding the latent before the quantiser quantises it first, as the codec itself would.
    """

    def __init__(
        self, shared: CodecPass, family: str, output: str, libraries: tuple[str, ...]
    ) -> None:
        super().__init__(shared, output)
        self.codec = shared
        self.name = full_name(family, output)
        self.sample_rate = shared.sample_rate
        self.embedding_dim = shared.embedding_dim
        self.frame_rate = shared.sample_rate / shared.hop
        self.config = shared.facts
        self.libraries = libraries  # type: ignore[misc]

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        return self.codec.decode_frames(frames, quantise=self.output != QUANTISED)


def codec_encoders(
    shared: CodecPass, family: str, outputs: Sequence[str], libraries: tuple[str, ...]
) -> list[AudioEncoder]:
    """One encoder for each output, over the same pass."""
    return [CodecEncoder(shared, family, output, libraries) for output in dict.fromkeys(outputs)]
