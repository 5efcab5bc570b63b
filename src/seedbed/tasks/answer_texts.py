"""How an answer's text is compared with the published ones: exact match and F1, by the official scripts.

`squad`, `squad2`: evaluate-v1.1.py and evaluate-v2.0.py (Rajpurkar et al. 2016, 2018): lower case, no
punctuation, no English articles, F1 over words. `korquad`: evaluate-v1.0.py of KorQuAD (Lim et al. 2019):
quotation marks and brackets to blanks, lower case, no punctuation, F1 over characters.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Script = Literal["squad", "squad2", "korquad"]
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
KORQUAD_MARKS = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))


def normalised(text: str, *, script: Script) -> str:
    """The text as it is compared: words joined by one blank."""
    if script == "korquad":
        return " ".join(text.translate(KORQUAD_MARKS).lower().translate(PUNCTUATION).split())
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def compare(predicted: str, answers: Sequence[str], *, script: Script) -> tuple[float, float]:
    """Exact match (0 or 1) and F1, each the best over the answers.

    Where nothing is left of a published answer, `squad2` does not count it, and the others count as matched
    what nothing is left of either, with an F1 of 0. A question without answers is answered by the empty text
    alone (only evaluate-v2.0.py knows such questions).
    """
    ours = normalised(predicted, script=script)
    published = [normalised(answer, script=script) for answer in answers]
    if script == "squad2":
        published = [theirs for theirs in published if theirs]
    if not published:
        return float(not ours), float(not ours)
    return max(float(ours == theirs) for theirs in published), max(_f1(ours, t, script) for t in published)


def _f1(ours: str, theirs: str, script: Script) -> float:
    parts = [text.replace(" ", "") if script == "korquad" else text.split() for text in (ours, theirs)]
    same = sum((Counter(parts[0]) & Counter(parts[1])).values())
    return 2 * same / (len(parts[0]) + len(parts[1])) if same else 0.0
