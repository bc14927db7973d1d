"""The names that a version can bear."""

CHALLENGER = "challenger"
"""The alias of the version that was published last."""
CHAMPION = "champion"
"""The alias of the version that predicts."""
PREVIOUS = "previous"
"""The alias of the version that was champion before, for a rollback."""
