"""A schedule that fires. With a SQLAlchemy that Prefect cannot work with, deployments succeed and no run ever comes."""

from pathlib import Path

import pytest
import yaml

from flows.schedule import deploy
from flows.servers import API_URL
from tests.conftest import ROOT
from tests.flows.conftest import scheduled_runs
from tests.waiting import until

pytestmark = pytest.mark.flow


def test_a_minutely_schedule_really_creates_scheduled_runs(prefect_api: str, tmp_path: Path) -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    nightly = next(item for item in deployments["deployments"] if item.get("schedules"))
    nightly["schedules"][0]["cron"] = "* * * * *"
    deployments["deployments"] = [nightly]
    (tmp_path / "minutely.yaml").write_text(yaml.safe_dump(deployments))
    deploy(ROOT, str(tmp_path / "minutely.yaml"), {API_URL: prefect_api})
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    # where none comes: see the server's log for `bulk DML`; requirements.lock must hold sqlalchemy<2.1
    runs = until(lambda: scheduled_runs(prefect_api, wanted), 90, poll_s=1)
    assert all(run["auto_scheduled"] for run in runs)
