"""Stages from data to a trained float network; each reads and writes files of one folder."""
