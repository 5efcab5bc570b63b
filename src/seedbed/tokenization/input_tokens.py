"""GPT-1's input transformations: texts and pairs of texts between start, delimiter and extract tokens.

Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 3.3.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seedbed.config import UserError
from seedbed.tokenization.folder import TOKENIZER, TOKENIZER_CONFIG, copy_tokenizer, load_tokenizer

if TYPE_CHECKING:
    import tokenizers

START, DELIMITER, EXTRACT = "<|start|>", "<|delimiter|>", "<|extract|>"


class InputTokens(NamedTuple):
    """The ids of the three tokens."""

    start: int
    delimiter: int
    extract: int


def add_input_tokens(tokenizer: "tokenizers.Tokenizer") -> InputTokens:
    """Make the three known behind the last token, and have texts read between them; twice changes nothing.

    A text becomes [start; text; extract], a pair [start; text; delimiter; pair; extract], cut by the
    tokenizer as ever.
    """
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing

    known = tokenizer.get_vocab(with_added_tokens=True)
    names = (START, DELIMITER, EXTRACT)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    found = tokenizer.get_vocab(with_added_tokens=True)
    taken = set(known.values())
    if clash := [name for name in names if name not in known and found[name] in taken]:
        raise UserError(
            f"tokenizer: {clash[0]} would take id {found[clash[0]]}, which another token has; its ids have "
            "holes, take a tokenizer without"
        )
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {EXTRACT}",
        pair=f"{START} $A {DELIMITER} $B:0 {EXTRACT}",
        special_tokens=[(name, found[name]) for name in names],
    )
    return InputTokens(*(found[name] for name in names))


def copy_with_input_tokens(source: Path, target: Path) -> None:
    """`copy_tokenizer` with the three tokens added, so that others read texts as we did."""
    copy_tokenizer(source, target)
    tokenizer = load_tokenizer(source)
    add_input_tokens(tokenizer)
    (target / TOKENIZER).write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")
    assert (target / TOKENIZER_CONFIG).is_file()
