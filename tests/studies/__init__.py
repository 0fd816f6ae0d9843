"""Studies whose numbers stand in DESIGN.md; no part of the product."""
