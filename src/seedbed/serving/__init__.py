"""Serving: an HTTP face for whatever answers texts; it knows no model and no task."""

from seedbed.serving.app import Application, Facts
from seedbed.serving.requests import MAX_BODY_BYTES, MAX_TEXTS, BadRequest, Query

__all__ = ["MAX_BODY_BYTES", "MAX_TEXTS", "Application", "BadRequest", "Facts", "Query"]
