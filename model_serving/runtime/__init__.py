"""Set-up and start-up: finds Java, fetches jars, assembles the Flink home, runs the Flink command line."""
