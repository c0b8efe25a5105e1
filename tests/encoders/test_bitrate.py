"""Bits a second of codecs, against the rates that their papers print."""

from __future__ import annotations

from typing import Any

import pytest
import transformers
from faulty_encoders import Honest

from earmark.encoders import AudioEncoder, EncoderError, load_encoder
from earmark.encoders.baselines.codec import CodecPass, codec_encoders
from earmark.encoders.bitrate import bits_per_second
from earmark.encoders.contract import check_contract

SNAC = {"codebook_size": 4096, "vq_strides": [4, 2, 1]}  # config.json of snac_24khz


def codec(facts: dict[str, Any], rate: int, hop: int) -> list[AudioEncoder]:
    """The latent before the quantiser and the one after it."""
    shared = CodecPass(sample_rate=rate, hop=hop, embedding_dim=8, facts=facts)
    return codec_encoders(shared, "codec", ("", "quantized"), ())


@pytest.mark.parametrize(
    ("config", "rate", "hop", "bits"),
    [
        # Défossez et al. 2022, section 3.1: 32 codebooks of 10 bits at 75 Hz
        (transformers.EncodecConfig().to_dict(), 24_000, 320, 24_000),
        # Kumar et al. 2023, table 1: 9 codebooks of 10 bits, hop 512 of 44.1 kHz
        (
            transformers.DacConfig(sampling_rate=44_100).to_dict(),
            44_100,
            512,
            9 * 10 * 44_100 / 512,
        ),
        # Défossez et al. 2024: 1.1 kbit/s of 8 codebooks of 11 bits at 12.5 Hz, so of 32 4.4
        (transformers.MimiConfig(num_quantizers=32).to_dict(), 24_000, 1920, 4400),
        # Ye et al. 2024: 8 codebooks of 10 bits at 50 Hz
        (transformers.XcodecConfig().to_dict(), 16_000, 320, 4000),
        # Siuzdak et al. 2024: 0.98 kbit/s
        (SNAC, 24_000, 512, 984.375),
    ],
    ids=["encodec", "dac", "mimi", "xcodec", "snac"],
)
def test_what_a_codec_is_configured_to(
    config: dict[str, Any], rate: int, hop: int, bits: float
) -> None:
    before, after = codec(config, rate, hop)
    assert bits_per_second(after) == pytest.approx(bits)
    assert bits_per_second(before) is None  # continuous


def test_what_has_no_codes_or_does_not_say() -> None:
    assert bits_per_second(load_encoder("mulaw")) == 128_000  # as its own page says
    for name in ("logmel", "identity", "griffinlim"):
        assert bits_per_second(load_encoder(name)) is None
    for facts in ({}, {"codebook_size": 1024}, {"codebook_size": "x", "n_codebooks": 9}):
        assert bits_per_second(codec(facts, 24_000, 320)[1]) is None


def test_what_an_encoder_says_of_itself() -> None:
    encoder = Honest()
    encoder.bits_per_second = 1500
    check_contract(encoder, "honest")
    assert bits_per_second(encoder) == 1500.0
    for wrong in (0, -1.0, "1 kbit", True, float("inf")):
        encoder.bits_per_second = wrong  # type: ignore[assignment]
        with pytest.raises(EncoderError, match="bits_per_second must be a number above 0"):
            check_contract(encoder, "honest")
