"""Acoustic injection into any frozen encoder of frames, after arXiv 2602.23765.

Follow a clip: `geometry` says where frames lie, `parts` are what is trained (acoustic projection,
decoder, scales), `network` puts them on the frozen encoder, `saved` writes and reads the whole;
`sampler` and `stage` are its training, which the loop of `encoders.dasheng.training` runs.
"""

from pathlib import Path

SMALL_CONFIG = Path(__file__).with_name("small.yaml")
