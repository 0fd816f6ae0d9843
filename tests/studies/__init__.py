"""Studies whose numbers stand in docs/STUDIES.md; no part of the product."""
