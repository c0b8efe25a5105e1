"""What of an encoder is measured besides its frames: the one vector a clip of some."""

from __future__ import annotations

import torch

from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.home import home_of, inside


def scene_at_home(
    encoder: AudioEncoder, waveforms: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """What `encode_scene` makes of a batch, in its own home. Raises EncoderError: no tensor."""
    with inside(home_of(encoder)):
        vectors = encoder.encode_scene(waveforms, lengths)
    if not isinstance(vectors, torch.Tensor) or not vectors.is_floating_point():
        kind = getattr(vectors, "dtype", type(vectors).__name__)
        raise EncoderError(
            f"encoder {encoder.name!r} returned {kind} from encode_scene(); expected a floating "
            f"point tensor (B, {encoder.scene_dim})"
        )
    return vectors
