"""DashengTokenizer, small, with weights drawn from a seed: the third encoder of the golden results.

python run_bench.py --encoder tests/small_dasheng.py:SmallDasheng --tasks all --data synthetic

Layer for layer it is the released network; only the sizes are smaller.
"""

from __future__ import annotations

from encoders.dasheng import TokenizerCodec, TokenizerConfig, random_weights
from encoders.dasheng.checkpoint import tokenizer_from

SIZES = TokenizerConfig(
    embed_dim=64, depth=2, num_heads=4, decoder_embed_dim=32, decoder_depth=1,
    decoder_intermediate_size=64,
)  # fmt: skip
SEED = 20_260_223


class SmallDasheng(TokenizerCodec):
    """The sum of both paths, as `dasheng`."""

    def __init__(self) -> None:
        tokenizer = tokenizer_from(SIZES, random_weights(SIZES, SEED), "small-dasheng")
        super().__init__(tokenizer, "", SIZES)
        self.name = "small-dasheng"
