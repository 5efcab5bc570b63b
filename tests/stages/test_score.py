"""score: the numbers of a text file, printed with intervals and counts; mistakes in one line."""

import re
from pathlib import Path

import pytest
import torch
import transformers

from seedbed import __main__ as cli
from tests.data.bilingual import TEXTS

ROW = re.compile(r"(\w+) +([\d.]+|inf)  \[([\d.]+|inf|nan), ([\d.]+|inf|nan)\]  n=(\d+)")


pytestmark = pytest.mark.usefixtures("inside_decoder_project")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "declaration.txt"
    path.write_text("\ufeff" + "\n".join(TEXTS) + "\n하나\n", encoding="utf-8")
    return path


def test_numbers_with_intervals_and_counts(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["score", "gpt_neo_tiny", str(text), "resamples=200", "batch_tokens=256"]) == 0
    out = capsys.readouterr().out
    rows = {
        name: (float(value), float(low), float(high), int(n))
        for name, value, low, high, n in ROW.findall(out)
    }
    assert rows.keys() == {"nats_per_token", "perplexity", "bits_per_byte", "last_word_accuracy"}
    for value, low, high, _ in rows.values():
        assert low <= value <= high and low < high
    assert [n for *_, n in rows.values()] == [15, 15, 15, 14]
    assert "which has none before it: 1\n" in out


def test_the_loss_is_that_of_transformers(
    tmp_path: Path, decoder_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text that fits one window, after an end-of-text token."""
    path = tmp_path / "short.txt"
    path.write_text(TEXTS[5], encoding="utf-8")
    assert cli.main(["score", "gpt_neo_tiny", str(path)]) == 0
    ours = float(ROW.findall(capsys.readouterr().out)[0][1])
    folder = decoder_project / "models/pretrain/gpt_neo_tiny"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([[2, *tokenizer(TEXTS[5], add_special_tokens=False)["input_ids"]]])
    assert ids.shape[1] <= 64
    assert ours == pytest.approx(float(model(ids, labels=ids).loss.detach()), abs=1e-4)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["gpt_neo_tiny"], "score: which model, which text? seedbed score RUN FILE"),
        (["gpt_neo_tiny", "no.txt"], "no.txt: no such file"),
        (["gpt_neo_tiny", "TEXT", "stride=65"], "stride 65 would skip tokens of a decoder with 64 positions"),
        (
            ["gpt_neo_tiny", "TEXT", "confidence=95"],
            "score gpt_neo_tiny.confidence: input should be less than 1",
        ),
        (["gpt_neo_tiny", "EMPTY"], "no text in it"),
        (["gpt_neo_tiny", "LATIN"], "not UTF-8 at byte 1"),
        (["gpt_neo_tiny", "."], ".: Is a directory"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], line: str, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").write_text(" \n\n")
    (tmp_path / "latin").write_bytes("né".encode("latin-1"))
    places = {"TEXT": str(text), "EMPTY": str(tmp_path / "empty"), "LATIN": str(tmp_path / "latin")}
    assert cli.main(["score", *(places.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
