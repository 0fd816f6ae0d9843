"""A smaller network under the budget of a board."""
