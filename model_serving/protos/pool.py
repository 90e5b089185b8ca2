"""The descriptor pool of this project's messages: apart from the process's default one.

The messages have no package. In the default pool they would clash with a user's message of the same name.
"""

from __future__ import annotations

from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["POOL"]

POOL = DescriptorPool()
