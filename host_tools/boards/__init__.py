"""Boards as data, and how firmware reaches one."""
