"""The serving core: the standard library and numpy, no Flink, no protobuf, no model library."""
