"""What a run left, as a page, a table and the numbers of the README."""
