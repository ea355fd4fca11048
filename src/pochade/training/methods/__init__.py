"""Training methods, one file each: what learns, and the loss of a step."""
