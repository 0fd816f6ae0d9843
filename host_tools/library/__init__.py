"""A model as a library for somebody else's program."""
