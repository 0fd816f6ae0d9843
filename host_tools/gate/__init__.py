"""Compare the results of a project with those that it has committed."""
