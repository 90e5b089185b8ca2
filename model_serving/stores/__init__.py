"""Where models come from by location, and where large ones are kept."""
