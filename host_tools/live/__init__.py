"""The live page: a board's signal and predictions in a browser of this computer."""
