"""Estimate the work and the needs of a run before any training."""

from helixnas.plan.planning import BlockPlan, Plan, Reach, plan
from helixnas.plan.workload import Workload

__all__ = ["BlockPlan", "Plan", "Reach", "Workload", "plan"]
