"""MLPerf Tiny: which model is whose, the commands, the data, and the two modes of its runner."""
