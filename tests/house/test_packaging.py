"""What lies around the code keeps what it promises: the lock, the Makefile, prefect.yaml, the container files."""

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


def locked() -> dict[str, list[Requirement]]:
    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line)
            pins.setdefault(requirement.name.lower(), []).append(requirement)
    return pins


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]


def load_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_every_dependency_is_locked_within_its_bounds() -> None:
    pins = locked()
    for requirement in declared():
        for pin in pins[canonicalize_name(requirement.name)]:
            (version,) = [specifier.version for specifier in pin.specifier]
            assert requirement.specifier.contains(version), f"{pin} is outside {requirement}: run `make lock`"


@pytest.mark.parametrize(("name", "too_new"), [("fastapi", "0.151.0"), ("sqlalchemy", "2.1.0"), ("prefect", "3.10.0")])
def test_the_caps_that_keep_prefect_alive_are_in_place(name: str, too_new: str) -> None:
    (requirement,) = [item for item in declared() if item.name == name]
    assert not requirement.specifier.contains(too_new)


def test_the_lock_pins_exactly_and_for_every_platform_that_is_promised() -> None:
    pins = [pin for group in locked().values() for pin in group]
    assert all([specifier.operator for specifier in pin.specifier] == ["=="] for pin in pins)
    platforms = [
        {"sys_platform": "linux", "platform_machine": "x86_64"},
        {"sys_platform": "linux", "platform_machine": "aarch64"},
        {"sys_platform": "darwin", "platform_machine": "arm64"},
    ]
    for platform in platforms:
        chosen = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate(platform)]
        assert {"torch", "prefect", "mlflow", "dvc"} <= set(chosen)
        assert len(chosen) == len(set(chosen))


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\w+)", shown, re.MULTILINE) == phony.split()
    assert set(re.findall(r"^(\w+):", text, re.MULTILINE)) == set(phony.split())


def test_make_sets_up_once_and_again_when_the_lock_changes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.lock", "pyproject.toml", "venv/.installed"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def plan() -> str:
        command = ["make", "-n", "setup", "VENV=venv"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "pip install" not in plan()
    (tmp_path / "venv/.installed").unlink()
    assert "pip install --requirement requirements.lock" in plan()


def test_ci_makes_an_environment_of_its_own_and_runs_check_and_test() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert "mktemp -d" in script.read_text()
    assert script.read_text().splitlines()[-1] == "make check test"


def test_deployments_name_flows_that_can_be_imported_with_their_parameters() -> None:
    deployments = load_yaml("prefect.yaml")["deployments"]
    names = []
    for deployment in deployments:
        path, _, function = deployment["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function)
        assert set(deployment.get("parameters", {})) <= set(flow.parameters.properties)
        assert deployment["work_pool"]["name"] == "local-process"
        names.append(f"{flow.name}/{deployment['name']}")
    assert names == ["search/nightly", "search/on-demand", "promote/on-demand"]
    assert deployments[0]["schedules"][0]["cron"] == "0 2 * * *"
    assert deployments[0]["concurrency_limit"] == 1


def test_compose_binds_to_loopback_pins_images_and_waits_for_healthy_services() -> None:
    compose = load_yaml("compose.yaml")
    services = compose["services"]
    for service in services.values():
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert services[name]["healthcheck"]["test"][0] == "CMD"
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source == "." or source in compose["volumes"]
    assert {"prefect", "mlflow"} == set(services["worker"]["depends_on"])


def test_compose_variables_are_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert used <= set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_image_is_pinned_runs_as_nobody_special_and_holds_what_it_copies() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_VERSION=\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "${UID}"
    allowed = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert set(sources.split()) <= allowed


def test_the_dockerfile_passes_hadolint() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_dvc_is_quiet_and_leaves_git_alone() -> None:
    config = (ROOT / ".dvc/config").read_text()
    assert all(f"{key} = false" in config for key in ("analytics", "autostage", "check_update"))
