"""Corpora: sources (what `fetch` gets) and readers (how `preprocess` reads it), told apart by `name`."""

from typing import Annotated

from pydantic import Field

from seedbed.config import Strict
from seedbed.corpora.base import Document, Split, TestSplit, read_split
from seedbed.corpora.classics import ClassicsConfig
from seedbed.corpora.docstrings import DocstringsConfig
from seedbed.corpora.grunfeld import GrunfeldConfig
from seedbed.corpora.huggingface import HuggingFaceConfig
from seedbed.corpora.json_array import JsonConfig
from seedbed.corpora.local import LocalConfig
from seedbed.corpora.mirrored import MirroredConfig
from seedbed.corpora.published import PublishedConfig
from seedbed.corpora.readers import CsvConfig, JsonlConfig, ParquetConfig, TextConfig
from seedbed.corpora.squad import SquadConfig
from seedbed.corpora.tagged import TaggedConfig
from seedbed.corpora.url import UrlConfig

Source = Annotated[
    DocstringsConfig
    | ClassicsConfig
    | GrunfeldConfig
    | LocalConfig
    | UrlConfig
    | MirroredConfig
    | HuggingFaceConfig,
    Field(discriminator="name"),
]
Reader = Annotated[
    JsonlConfig
    | TextConfig
    | CsvConfig
    | ParquetConfig
    | JsonConfig
    | TaggedConfig
    | SquadConfig
    | PublishedConfig,
    Field(discriminator="name"),
]


class FetchRecipe(Strict):
    """One entry of `fetch` in params.lock.yaml."""

    source: Source


__all__ = ["Document", "FetchRecipe", "Reader", "Source", "Split", "TestSplit", "read_split"]
