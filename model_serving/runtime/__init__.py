"""Set-up and start: finds Java, fetches jars, assembles the Flink home, runs the Flink command line."""
