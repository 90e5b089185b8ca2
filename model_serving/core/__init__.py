"""The serving core. It uses the standard library and numpy, but not Flink, protobuf or a model library."""
