"""Students beyond Optuna's own proposals: hundreds measured as assembled, the best of them briefly trained."""
