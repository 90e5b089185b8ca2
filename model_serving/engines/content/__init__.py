"""Recognizes the kind of a model's content without a model library, and compares it with the message.

``tell`` is pure and never raises; ``check_kind`` refuses content that is clearly not what the message says.
"""

from __future__ import annotations

from model_serving.engines.content.checking import KindCheckedEngine, check_kind
from model_serving.engines.content.kinds import ZIP_DAMAGED, ContentKind
from model_serving.engines.content.telling import tell

__all__ = ["ZIP_DAMAGED", "ContentKind", "KindCheckedEngine", "check_kind", "tell"]
