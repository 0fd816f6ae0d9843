"""Stages: what is done again, and when, by the content of what each has read."""
