"""What one stage hands on to another: each artifact is read in one place, and a run's setting."""
