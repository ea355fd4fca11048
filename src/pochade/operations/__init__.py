"""The light verbs on files, a module each. Listing and moving bytes never load torch."""
