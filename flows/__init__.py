"""Prefect: when, where, again, in parallel. No torch, no logic."""
