"""The commands of tinyproof: a module each, which has the click command `command`."""
