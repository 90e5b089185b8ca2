"""The host without Flink: the core in one process, or in several that share the work, with librdkafka."""
