"""The benchmark: this project and, where it is found, a JVM job of the same design, side by side."""
