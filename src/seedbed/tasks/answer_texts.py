"""How an answer's text is compared with the published ones: exact match and F1, by the official scripts.

`squad`: evaluate-v1.1.py and evaluate-v2.0.py (Rajpurkar et al. 2016, 2018): lower case, no punctuation, no
English articles, F1 over words. `korquad`: evaluate-v1.0.py of KorQuAD (Lim et al. 2019): quotation marks and
brackets to blanks, lower case, no punctuation, F1 over characters.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Script = Literal["squad", "korquad"]
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
KORQUAD_MARKS = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))


def normalised(text: str, *, script: Script) -> str:
    """The text as it is compared: words joined by one blank."""
    if script == "korquad":
        return " ".join(text.translate(KORQUAD_MARKS).lower().translate(PUNCTUATION).split())
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def compare(predicted: str, answers: Sequence[str], *, script: Script) -> tuple[float, float]:
    """Exact match (0 or 1) and F1, the best over the answers.

    A question without answers is answered by the empty text alone, as in evaluate-v2.0.py.
    """
    found = [_compare(predicted, answer, script) for answer in answers or [""]]
    return max(exact for exact, _ in found), max(score for _, score in found)


def _compare(predicted: str, answer: str, script: Script) -> tuple[float, float]:
    ours, theirs = normalised(predicted, script=script), normalised(answer, script=script)
    exact = float(ours == theirs)
    parts = [text.replace(" ", "") if script == "korquad" else text.split() for text in (ours, theirs)]
    if not parts[0] or not parts[1]:
        return exact, exact
    same = sum((Counter(parts[0]) & Counter(parts[1])).values())
    return exact, 2 * same / (len(parts[0]) + len(parts[1]))
