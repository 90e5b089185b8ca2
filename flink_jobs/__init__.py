"""The Flink jobs, which connect the operators of ``functions`` to Kafka and to each other."""
