"""Promotion as a flow, for a deployment: the challenger through the gate."""

from pathlib import Path

from prefect import flow
from prefect.logging import get_run_logger

from helixnas.config import load
from helixnas.stages import promote as promoting


@flow(name="promote", persist_result=False)
def promote(version: int | None = None) -> int:
    """Make the challenger, or ``version``, the champion if the gate lets it; the champion's version number."""
    root = Path.cwd()
    promotion = promoting.promote(root, load(root), version)
    get_run_logger().info(promotion.reason)
    return promotion.version
