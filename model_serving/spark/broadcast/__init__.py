"""The broadcast variant in Spark: a loop on the driver admits models and publishes them to every task."""
