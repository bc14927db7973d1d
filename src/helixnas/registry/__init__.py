"""What becomes of a student after the stages: it is published, promoted, rolled back, used."""
