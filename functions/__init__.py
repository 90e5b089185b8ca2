"""The Flink operators. They adapt the serving core, the model engines and the wire layer to Flink."""
