"""The embedded single-node Kafka."""
