"""Tells what a model's bytes look like, without any model library, and whether that is what a message says.

``tell`` is pure and never raises; ``check_kind`` refuses content that plainly is of another kind than said.
"""

from __future__ import annotations

from model_serving.engines.content.checking import KindCheckedEngine, check_kind
from model_serving.engines.content.kinds import ZIP_DAMAGED, ContentKind
from model_serving.engines.content.telling import tell

__all__ = ["ZIP_DAMAGED", "ContentKind", "KindCheckedEngine", "check_kind", "tell"]
