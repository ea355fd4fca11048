"""What other programs write into their pictures, one file per program, all read into the same Settings."""
