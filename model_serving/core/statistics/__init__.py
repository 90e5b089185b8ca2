"""Statistics of what is served, for each data type and version: counted, added up, compared."""
