"""generate: seedbed generate RUN "prompt" [key=value ...], text from a pretrained decoder, as it is made."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from seedbed.config import Machine, UserError
from seedbed.data.randomness import uniform
from seedbed.models import Decoder, load_decoder
from seedbed.models.generation import Sampling, generate
from seedbed.tokenization import encode_batch, load_tokenizer
from seedbed.workspace import artifact

if TYPE_CHECKING:
    import tokenizers


class GenerateOptions(Sampling):
    """How much is written, and how it is drawn."""

    num_tokens: int = Field(64, ge=1, description="most tokens written")
    num_samples: int = Field(1, ge=1, description="continuations, each drawn for itself")
    seed: int = Field(0, ge=0)


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Write the prompt and its continuation to stdout, token by token; counts go to stderr."""
    if len(arguments) < 2:
        raise UserError('generate: which model, which prompt? seedbed generate RUN "prompt" [key=value ...]')
    name, prompt, *words = arguments
    options = GenerateOptions.parse_words(words, f"generate {name}")
    decoder, tokenizer = open_decoder(root, machine, name)
    for number in range(options.num_samples):
        if number:
            sys.stdout.write("\n---\n")
        started, count = time.monotonic(), 0
        try:
            for piece in continuation(decoder, tokenizer, prompt, options, number=number):
                sys.stdout.write(piece if count else prompt + piece)
                sys.stdout.flush()
                count += 1
        except UserError as fault:
            raise UserError(f"generate {name}: {fault}") from None
        seconds = time.monotonic() - started
        print(f"\ngenerate {name}: {count} tokens, {count / seconds:.0f} tokens/s", file=sys.stderr)
    sys.stdout.write("\n")


def continuation(
    decoder: Decoder,
    tokenizer: "tokenizers.Tokenizer",
    prompt: str,
    options: GenerateOptions,
    *,
    number: int,
) -> Iterator[str]:
    """The text that each token adds, "" inside a character; sample `number` of a function of the seed.

    Token t is drawn by a uniform of (seed, number, t) alone: more tokens change none of those before.
    """
    import torch
    from tokenizers.decoders import DecodeStream

    ids = encode_batch(tokenizer, [prompt])[0] if prompt else []
    if not ids:
        if decoder.end_id is None:
            raise UserError("config.json names no eos_token_id to begin with; give a prompt")
        ids = [decoder.end_id]
    stream = DecodeStream(ids=ids, skip_special_tokens=True)
    steps = generate(
        decoder,
        torch.tensor([ids], device=decoder.token.weight.device),
        num_tokens=options.num_tokens,
        sampling=options,
        uniforms=lambda step: torch.from_numpy(uniform(options.seed, f"generate/{number}", step, 1, 1)[:, 0]),
    )
    for tokens_B in steps:
        yield stream.step(tokenizer, int(tokens_B[0])) or ""


def open_decoder(root: Path, machine: Machine, name: str) -> tuple[Decoder, "tokenizers.Tokenizer"]:
    """The decoder and tokenizer of a pretrain run, or of any folder in the Hugging Face layout."""
    import torch

    folder = artifact(root, "pretrain", name)
    if not folder.is_dir():
        folder = Path(name)
    if not folder.is_dir():
        made = sorted(path.name for path in artifact(root, "pretrain", "x").parent.glob("[!.]*"))
        raise UserError(
            f"{name}: no folder models/pretrain/{name} and no folder of that name; "
            f"pretrained are {', '.join(made) or 'none'}; make it with `dvc repro pretrain@{name}`"
        )
    torch.set_num_threads(machine.threads)
    device = "cuda" if machine.accelerator == "gpu" else "cpu"
    return load_decoder(folder).to(device).eval(), load_tokenizer(folder)
