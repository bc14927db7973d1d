"""Promotion as a flow, for a deployment: the challenger through the gate."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Failed

from flows.run_stage import FAULT
from helixnas.config import load
from helixnas.errors import HelixError
from helixnas.registry import promote as promoting


@flow(name="promote", persist_result=False)
def promote(version: int | None = None) -> int | State[Any]:
    """Make the challenger, or ``version``, the champion if the gate lets it; the champion's version number.

    A failed state named "Fault" where it does not, with the reason.
    """
    root = Path.cwd()
    try:
        promotion = promoting.promote(root, load(root), version)
    except HelixError as error:
        return Failed(name=FAULT, message=str(error))
    get_run_logger().info(promotion.reason)
    return promotion.version
