"""What runs inside the Flink operators: the serving core, the model engines, the wire layer, the adapters."""
