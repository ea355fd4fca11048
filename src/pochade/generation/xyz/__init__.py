"""X/Y/Z grids: one request drawn with every choice of the values of up to three axes, and laid out to be compared."""
