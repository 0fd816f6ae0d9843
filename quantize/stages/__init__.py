"""Stages from an int8 model to generated C; each reads and writes files of one folder."""
