"""Many boards at once, emulated ones and real ones: a process for each, one table of all."""
