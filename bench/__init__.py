"""The benchmark: measures this project and, if it is found, a JVM job of the same design."""
