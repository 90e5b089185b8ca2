"""The host that serves in Spark Structured Streaming, in two variants.

``pyspark`` is imported where a session is at hand, so that the flags can be read without it.
"""
