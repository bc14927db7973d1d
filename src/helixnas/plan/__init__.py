"""Estimate the work and the needs of a run before any training."""

from helixnas.plan.needs import Workload
from helixnas.plan.planning import BlockPlan, Plan, Reach, plan

__all__ = ["BlockPlan", "Plan", "Reach", "Workload", "plan"]
