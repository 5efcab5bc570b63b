"""SQuAD's JSON (Rajpurkar et al. 2016, arXiv 1606.05250; 2.0: 1806.03822), and so KorQuAD 1.0 and XQuAD."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from seedbed.config import Strict, UserError
from seedbed.corpora.base import Document
from seedbed.corpora.json_array import read_json
from seedbed.corpora.readers import matching


class SquadConfig(Strict):
    """A document is a question: its paragraph as text; `question`, `answers` and `title` in its meta."""

    name: Literal["squad"]
    files: str = "**/*.json*"

    def read(self, folder: Path) -> Iterator[Document]:
        """`answers` is a JSON list of [text, first character]; empty where 2.0 says `is_impossible`.

        An answer that does not stand where its offset says is a fault of the file, never mended here.
        """
        for path, _ in matching(folder, self.files):
            value = read_json(path)
            try:
                articles: list[dict[str, Any]] = value["data"]  # type: ignore[index]
                for article in articles:
                    for paragraph in article["paragraphs"]:
                        for question in paragraph["qas"]:
                            yield self._document(article, paragraph, question, path)
            except (KeyError, TypeError) as error:
                raise UserError(
                    f"{path}: not in SQuAD's format ({error}); expected data, paragraphs, qas"
                ) from None

    @staticmethod
    def _document(
        article: dict[str, Any], paragraph: dict[str, Any], question: dict[str, Any], path: Path
    ) -> Document:
        context: str = paragraph["context"]
        given = [] if question.get("is_impossible") else question["answers"]
        answers = [[answer["text"], answer["answer_start"]] for answer in given]
        for text, start in answers:
            if context[start : start + len(text)] != text:
                raise UserError(
                    f"{path}: question {question['id']}: {text[:40]!r} does not stand at {start} of its "
                    f"paragraph, there is {context[start : start + len(text)][:40]!r}; answer_start counts "
                    "characters (code points) from 0; correct it, or fetch a published file again"
                )
        meta = {
            "question": question["question"],
            "answers": json.dumps(answers, ensure_ascii=False),
            "title": article.get("title", ""),
        }
        return Document(question["id"], context, meta)
