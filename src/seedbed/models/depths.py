"""How deep in the network each parameter stands, counted from the embeddings up to the head.

ELECTRA's learning rates by layer need it (arXiv 2003.10555, appendix B); the counting is of its official
code, but that the head comes right after the last layer.
"""

from torch import nn

from seedbed.models.encoder import Encoder


def layer_depths(module: nn.Module) -> dict[str, int]:
    """Depth by parameter name: embeddings and their projection 0, block i (from 0) i + 1, the rest on top.

    Empty where layers have no one order: without an encoder, or with several.
    """
    encoders = [(name, part) for name, part in module.named_modules() if isinstance(part, Encoder)]
    if len(encoders) != 1:
        return {}
    [(name, encoder)] = encoders
    prefix = f"{name}." if name else ""
    num_layers = len(encoder.blocks)
    depths = {}
    for parameter, _ in module.named_parameters():
        inner = parameter.removeprefix(prefix)
        if not parameter.startswith(prefix):
            depths[parameter] = num_layers + 1
        elif inner.startswith(("embeddings.", "projection.")):
            depths[parameter] = 0
        elif inner.startswith("blocks."):
            depths[parameter] = int(inner.split(".")[1]) + 1
        else:  # what follows the last block (a norm) goes with it
            depths[parameter] = num_layers
    return depths
