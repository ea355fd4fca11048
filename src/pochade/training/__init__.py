"""Training: one exact loop, and methods that only say what is trained and what its loss is."""
