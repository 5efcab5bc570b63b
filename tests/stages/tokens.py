"""A small token folder of real sentences, Korean and English, for stages that train on tokens."""

from itertools import product
from pathlib import Path

from seedbed.tokenization import TokenizeRecipe
from tests.data.token_folder import write_token_folder

# Each topic: who, what, how. A document stays with one topic.
TOPICS = (
    (
        ("할머니는", "이웃집 아저씨는", "동생은", "시장 상인은"),
        ("배추를", "마늘을", "고추와 파를", "무를"),
        ("소금에 절였다.", "밭에서 뽑아 왔다.", "잘게 썰어 두었다.", "찬물에 헹구었다."),
    ),
    (
        ("기관사는", "승객들이", "역무원이", "열차가"),
        ("부산으로 가는 길에", "다음 역에서", "긴 터널을 지나며", "새벽 안개 속에서"),
        ("속도를 줄였다.", "창밖을 바라보았다.", "안내 방송을 들었다.", "잠시 멈추었다."),
    ),
    (
        ("the astronomer", "a young student", "the night guard", "our neighbour"),
        ("pointed the telescope", "looked", "turned the old lens", "waited patiently"),
        ("towards the rings of Saturn.", "at the pale moon.", "under a sky without clouds.", "until dawn."),
    ),
    (
        ("the carpenter", "her apprentice", "an old joiner", "the furniture maker"),
        ("planed the oak board", "glued the joint", "sharpened the chisel", "measured the drawer"),
        ("before lunch.", "with a steady hand.", "on the workbench.", "and swept the shavings."),
    ),
)


def documents(*, first: int = 0, count: int = 40) -> list[str]:
    """Documents of about sixty words, each of one topic."""
    made = []
    for number in range(first, first + count):
        sentences = [" ".join(parts) for parts in product(*TOPICS[number % len(TOPICS)])]
        # steps of one document visit sentences in an order of its own
        stride = (5, 7, 11, 13, 17, 19, 23)[number % 7]
        made.append(" ".join(sentences[(number * 3 + stride * k) % len(sentences)] for k in range(10)))
    return made


def write_tokens(folder: Path, *, kind: str) -> Path:
    """The tokens folder that the tokenize stage would make: tokenizer, train, valid, manifest."""
    tokenizer = {"name": kind, "vocab_size": 500} | ({"lowercase": True} if kind == "wordpiece" else {})
    config = TokenizeRecipe.parse({"corpus": "tiny", "tokenizer": tokenizer}, where="test").tokenizer
    splits = {"train": documents(count=60), "valid": documents(first=60, count=16)}
    return write_token_folder(folder, config, splits)
