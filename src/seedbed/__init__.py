"""Seedbed grows text encoders and time-series forecasters by one reproducible pipeline."""

__version__ = "0.1.0"
