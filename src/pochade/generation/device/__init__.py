"""Where networks work and how they keep to its memory: placing, tiles, retries, and what went wrong."""
