"""Small decoders of each family, and rows for them."""

import torch
from torch import Tensor

from seedbed.models.decoder import Decoder, DecoderConfig
from seedbed.models.gpt import GPT1Config, GPT2Config, GPTJConfig, GPTNeoConfig
from tests.models.families import BPE, shake

GPTS = ("gpt1", "gpt2", "gpt_neo", "gpt_j")
KINDS: dict[str, type[DecoderConfig]] = {
    "gpt1": GPT1Config,
    "gpt2": GPT2Config,
    "gpt_neo": GPTNeoConfig,
    "gpt_j": GPTJConfig,
}
OWN: dict[str, dict[str, object]] = {
    "gpt1": {},
    "gpt2": {},
    "gpt_neo": {"window": 5, "pattern": ["global", "local"]},
    "gpt_j": {"rotary_size": 6},
}


def small_gpt(name: str, **changes: object) -> DecoderConfig:
    """Four layers, 24 positions; a window of 5 and 6 of 12 turned numbers where there are such."""
    sizes = {
        "hidden_size": 48,
        "intermediate_size": 192,
        "num_layers": 4,
        "num_heads": 4,
        "max_length": 24,
        "embedding_dropout": 0.0,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return KINDS[name].parse({"name": name, **sizes, **OWN[name], **changes}, "decoder")


def shaken(name: str, *, dtype: torch.dtype = torch.float32, **changes: object) -> Decoder:
    """Random values everywhere, each of them a number of fp32."""
    decoder = small_gpt(name, **changes).build(BPE)
    shake(decoder)
    return decoder.float().to(dtype).eval()


def streams(*, num_rows: int = 5, length: int = 20, seed: int = 0) -> Tensor:
    """Rows of text tokens with an end of text here and there."""
    generator = torch.Generator().manual_seed(seed)
    rows_BL = torch.randint(5, BPE.size, (num_rows, length), generator=generator)
    rows_BL[torch.rand(rows_BL.shape, generator=generator) < 0.1] = BPE.sep_id
    return rows_BL
