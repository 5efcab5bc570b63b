"""generate: text of a folder, as the seed says, on stdout alone; mistakes in one line."""

from pathlib import Path

import pytest
import transformers

from seedbed import __main__ as cli
from seedbed.config import Machine
from seedbed.stages.generate import GenerateOptions, continuation, open_decoder

pytestmark = pytest.mark.usefixtures("inside_decoder_project")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["generate", *words]) == 0
    return capsys.readouterr().out


def test_the_same_seed_writes_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    once = run(capsys, "gpt_neo_tiny", "모든 사람은", "num_tokens=20", "seed=3")
    assert once.startswith("모든 사람은") and once.endswith("\n")
    assert run(capsys, "gpt_neo_tiny", "모든 사람은", "num_tokens=20", "seed=3") == once
    assert run(capsys, "gpt_neo_tiny", "모든 사람은", "num_tokens=20", "seed=4") != once


def test_samples_are_drawn_for_themselves_and_longer_ones_begin_alike(
    capsys: pytest.CaptureFixture[str], decoder_project: Path
) -> None:
    both = run(capsys, "gpt_neo_tiny", "All", "num_tokens=12", "num_samples=2").split("\n---\n")
    assert len(both) == 2 and both[0] != both[1]
    decoder, tokenizer = open_decoder(decoder_project, Machine(threads=1), "gpt_neo_tiny")
    pieces = [
        list(continuation(decoder, tokenizer, "All", GenerateOptions(num_tokens=count), number=1))
        for count in (12, 30)
    ]
    assert pieces[1][:12] == pieces[0]
    assert both[1] == "All" + "".join(pieces[0]) + "\n"


def test_greedy_text_is_that_of_transformers(
    capsys: pytest.CaptureFixture[str], decoder_project: Path
) -> None:
    folder = decoder_project / "models/pretrain/gpt_neo_tiny"
    ours = run(capsys, str(folder), "No one shall", "temperature=0", "num_tokens=24")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("No one shall", add_special_tokens=False, return_tensors="pt")
    ids.pop("token_type_ids", None)
    theirs = model.generate(**ids, do_sample=False, max_new_tokens=24, pad_token_id=1)[0]
    whole = tokenizer.decode(theirs, skip_special_tokens=True)
    # what is streamed leaves out a character that is not complete at the end
    assert (
        whole.rstrip("\ufffd").startswith(ours[:-1].rstrip("\ufffd")) and len(ours) > len("No one shall") + 5
    )


def test_without_a_prompt_a_text_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "gpt_neo_tiny", "", "num_tokens=5")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], 'which model, which prompt? seedbed generate RUN "prompt"'),
        (["gpt_neo_tiny"], "which model, which prompt?"),
        (["gpt2", "a"], "gpt2: no folder models/pretrain/gpt2 and no folder of that name; pretrained are gpt_neo_tiny"),
        (["gpt_neo_tiny", "a", "loud"], "generate gpt_neo_tiny: 'loud' is no key=value; known keys: temperature, top_k"),
        (["gpt_neo_tiny", "a", "top_p=2"], "generate gpt_neo_tiny.top_p: input should be less than or equal to 1"),
        (["gpt_neo_tiny", "a", "length=2"], "generate gpt_neo_tiny.length: unknown key"),
        (["gpt_neo_tiny", "a", "num_tokens=70"], "generate gpt_neo_tiny: a prompt of 1 tokens and 70 more do not fit"),
        (["tokens", "a"], "config.json: no such file"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", *words]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
