"""The commands that show a running job: what serves, how fast and how well."""
