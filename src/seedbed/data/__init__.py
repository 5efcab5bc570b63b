"""Token shards, row layouts and the order of presentation: what a training step is fed.

`Rows` is the catalogue of layouts, `Masks` of how often what is drawn for a row changes, `Arrangement` of how
a batch of texts is computed.
"""

from typing import Annotated

from pydantic import Field

from seedbed.data.arrangements import PackedConfig, PaddedConfig
from seedbed.data.doc_sentences import DocSentencesConfig
from seedbed.data.full_sentences import FullSentencesConfig
from seedbed.data.masks import DynamicConfig, Masks, StaticConfig
from seedbed.data.row_lengths import RowLength
from seedbed.data.segment_pairs import SegmentPairsConfig
from seedbed.data.stream import StreamConfig
from seedbed.data.two_segments import TwoSegmentsConfig

Rows = Annotated[
    FullSentencesConfig | DocSentencesConfig | SegmentPairsConfig | StreamConfig | TwoSegmentsConfig,
    Field(discriminator="name"),
]
Arrangement = Annotated[PackedConfig | PaddedConfig, Field(discriminator="name")]

__all__ = [
    "Arrangement",
    "DocSentencesConfig",
    "DynamicConfig",
    "FullSentencesConfig",
    "Masks",
    "PackedConfig",
    "PaddedConfig",
    "RowLength",
    "Rows",
    "SegmentPairsConfig",
    "StaticConfig",
    "StreamConfig",
    "TwoSegmentsConfig",
]
