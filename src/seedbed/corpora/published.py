"""A labelled set with its publisher's own splits: which file is which split, and how each is read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from seedbed.config import Strict
from seedbed.corpora.base import SPLITS, Document, Split
from seedbed.corpora.json_array import JsonConfig
from seedbed.corpora.readers import CsvConfig, JsonlConfig, ParquetConfig
from seedbed.corpora.squad import SquadConfig
from seedbed.corpora.tagged import TaggedConfig

FileReader = Annotated[
    JsonlConfig | JsonConfig | CsvConfig | ParquetConfig | TaggedConfig | SquadConfig,
    Field(discriminator="name"),
]


class PublishedConfig(Strict):
    """The reader's documents, each with its split in meta `split`: to be read with split `published`."""

    name: Literal["published"]
    splits: dict[Split, str] = Field(min_length=1, description="pattern of each split's files")
    reader: FileReader = Field(description="its own `files` is replaced by each split's")

    def read(self, folder: Path) -> Iterator[Document]:
        for split in SPLITS:
            if split in self.splits:
                reader = self.reader.model_copy(update={"files": self.splits[split]})
                for document in reader.read(folder):
                    yield replace(document, meta={**document.meta, "split": split})
