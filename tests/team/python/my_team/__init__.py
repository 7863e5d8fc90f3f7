"""A team's own programs."""
