"""Small encoders of each family, and batches for them."""

import torch
from torch import Tensor, nn

from seedbed.models import EncoderConfig
from seedbed.models.encoder import Family
from seedbed.tokenization import Vocabulary

FAMILIES: tuple[Family, ...] = ("bert", "electra", "roberta")
WORDPIECE = Vocabulary(
    size=211, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, special_ids=(0, 1, 2, 3, 4)
)
BPE = Vocabulary(size=211, pad_id=1, unk_id=3, cls_id=0, sep_id=2, mask_id=4, special_ids=(0, 1, 2, 3, 4))


def vocabulary_of(family: Family) -> Vocabulary:
    return BPE if family == "roberta" else WORDPIECE


def small(family: Family, **changes: object) -> EncoderConfig:
    config = {
        "name": "encoder",
        "family": family,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_layers": 3,
        "num_heads": 4,
        "embedding_size": 32 if family == "electra" else None,
        "max_length": 24,
        "num_token_types": 1 if family == "roberta" else 2,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "norm_eps": 1e-5 if family == "roberta" else 1e-12,
        "initializer_range": 0.02,
    }
    return EncoderConfig.parse(config | changes, "encoder")


def rows(
    family: Family, *, num_rows: int = 5, length: int = 20, padded: bool, seed: int = 0
) -> dict[str, Tensor]:
    """Random rows [CLS] text [SEP], of different lengths if padded, with an attention mask."""
    vocabulary = vocabulary_of(family)
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(5, vocabulary.size, (num_rows, length), generator=generator)
    input_ids[:, 0] = vocabulary.cls_id
    for row in range(num_rows):
        end = length - (3 * row) % 11 if padded else length
        input_ids[row, end - 1] = vocabulary.sep_id
        input_ids[row, end:] = vocabulary.pad_id
    return {"input_ids": input_ids, "attention_mask": (input_ids != vocabulary.pad_id).long()}


def shake(module: nn.Module, seed: int = 0) -> None:
    """Random values everywhere, biases and norms too, so that nothing agrees by being zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.15
            parameter.copy_(noise + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
