"""Each ordinary change of CONTRIBUTING.md, tried with a toy in a copy of the package."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helixnas import artifacts, source
from helixnas.source import PACKAGE
from tests.contracts.conftest import WAYS
from tests.project import new_project

REGISTRY = "config/values.py"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package."""
    copy = tmp_path / "src" / "helixnas"
    return Path(shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A project where the stages before distill have run."""
    root = tmp_path / "project"
    root.mkdir()
    new_project(root)
    for name in ("custom", "data", "teacher", "search_space"):
        shutil.copytree(finished / "artifacts" / name, root / "artifacts" / name)
    return root


def python(copied: Path, root: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copied.parent)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def add(copied: Path, room: str, name: str, line: str) -> None:
    """All that a new way takes."""
    shutil.copy(WAYS / f"{name}.py", copied / room / f"{name}.py")
    registry = copied / REGISTRY
    text = registry.read_text()
    assert line in text
    registry.write_text(text.replace(line, f'{line[:-1]}, "{name}"]'))


def test_a_supervision_and_a_criterion_are_one_file_and_one_word_each(copied: Path, root: Path) -> None:
    add(copied, "distill", "toy_siamese", 'Supervision = Literal["teacher", "siamese"]')
    add(copied, "rating", "toy_tail", 'Criterion = Literal["feature", "output", "population"]')
    dependencies = "import json; from helixnas import source; print(json.dumps(list(map(source.dependencies, {}))))"
    told = json.loads(python(copied, root, "-c", dependencies.format(["distill", "rating"])))
    assert told == [source.dependencies("distill"), source.dependencies("rating")]  # nothing else is stale

    parameters = (root / "params.yaml").read_text()
    parameters = parameters.replace("supervision: teacher", "supervision: toy_siamese")
    (root / "params.yaml").write_text(parameters.replace("criterion: feature", "criterion: toy_tail"))
    for stage in ("distill", "rating"):
        python(copied, root, "-m", "helixnas", stage, "--block-id", "0")
    tensors, _ = artifacts.load_tensors(root / "artifacts/distill/block_0/beside.safetensors", "beside")
    assert {name.partition(".")[0] for name in tensors} == {"target", "predictor"}
    table, facts = artifacts.load_table(root / "artifacts/rating/block_0/rating.parquet", "ratings")
    assert (facts["criterion"], facts["constant"]) == ("toy_tail", None)
    assert table["rating"].notna().all()
    assert table["rating"][0] == 0.0


def test_the_code_of_a_way_counts_where_it_is_chosen(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PACKAGE", copied)
    add(copied, "distill", "toy_siamese", 'Supervision = Literal["teacher", "siamese"]')
    before = {way: source.stage_digest("distill", way) for way in ("teacher", "toy_siamese")}
    with (copied / "distill" / "toy_siamese.py").open("a") as file:
        file.write("# an edit\n")
    assert source.stage_digest("distill", "teacher") == before["teacher"]
    assert source.stage_digest("distill", "toy_siamese") != before["toy_siamese"]


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_kind_of_cost_is_one_file_and_one_line_of_the_budget(copied: Path, root: Path) -> None:
    (copied / "cost_kinds/joules.py").write_text(
        "from helixnas.cost_kinds.kind import CountedKind\n\n\n"
        "class Joules(CountedKind):\n"
        "    title = 'energy'\n\n"
        "    def count(self, network, in_shape):\n"
        "        return 2 * sum(parameter.numel() for parameter in network.parameters())\n\n\n"
        "KIND = Joules()\n"
    )
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["cost"]["kinds"] = ["madds", "num_params", "joules"]
    params["search"]["budget"] |= {"joules": "90%", "latency_ms": None}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    python(copied, root, "-m", "helixnas", "cost")
    table, _ = artifacts.load_table(root / "artifacts/cost/counted/block_0.parquet", "counted")
    assert table["joules"].tolist() == (2 * table["num_params"]).tolist()


def test_a_space_and_an_operation_are_one_file_each_and_a_word(copied: Path, root: Path) -> None:
    (copied / "student/operations/toy.py").write_text(
        "from torch import nn\n\n\n"
        "def build(layer, candidate):\n"
        "    return nn.Conv2d(layer.in_width, layer.out_width, 1, layer.stride)\n"
    )
    (copied / "search_space/spaces/toys.py").write_text(
        "from helixnas.search_space.block import Cell\n"
        "from helixnas.search_space.candidate import Candidate\n\n\n"
        "def cells(spec, settings):\n"
        "    return (Cell((spec.out_width,), (spec.stride,), ((Candidate('toy'),),)),)\n"
    )
    replaced(copied / REGISTRY, "substitute|mbconv4?", "toys|substitute|mbconv4?")
    replaced(root / "params.yaml", "  name: substitute", "  name: toys")
    python(copied, root, "-m", "helixnas", "search_space")
    value = artifacts.load_json(root / "artifacts/search_space/block_0.json", "search_space")
    assert [*value["code"]] == ["toy"]
    for stage in ("distill", "rating"):
        python(copied, root, "-m", "helixnas", stage, "--block-id", "0")
    table, _ = artifacts.load_table(root / "artifacts/rating/block_0/rating.parquet", "ratings")
    assert table["path"].tolist() == ["0:0"]


def test_a_source_of_images_is_one_file_and_two_words(copied: Path, root: Path) -> None:
    (copied / "data/sources/noise.py").write_text(
        "import torch\n\n"
        "from helixnas.data.source import of_arrays\n\n\n"
        "def open_source(name, path, channels):\n"
        "    images = torch.randint(256, (90, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator())\n"
        "    return of_arrays(images, torch.arange(90) % 3, ('a', 'b', 'c'))\n"
    )
    replaced(copied / "data/sources/__init__.py", "import digits, ", "import digits, noise, ")
    replaced(copied / "data/sources/__init__.py", '    "digits":', '    "noise": noise.open_source,\n    "digits":')
    replaced(copied / REGISTRY, 'rf"digits|', 'rf"noise|digits|')
    replaced(root / "params.yaml", "source: digits", "source: noise")
    python(copied, root, "-m", "helixnas", "data")
    index = next((root / "artifacts/data/train").glob("index*"))
    assert index.stat().st_size > 0


def test_a_sampler_is_a_class_and_a_word(copied: Path, root: Path) -> None:
    with (copied / "distill/path_sampler.py").open("a") as file:
        file.write("\n\nSAMPLERS['backwards'] = StratifiedSampler\n")
    replaced(copied / "config/schema.py", '"stratified", "fair"', '"backwards", "stratified", "fair"')
    replaced(root / "params.yaml", "sampler: stratified", "sampler: backwards")
    python(copied, root, "-m", "helixnas", "distill", "--block-id", "0")
    assert (root / "artifacts/distill/block_0/supernet.safetensors").is_file()


def test_a_parameter_and_how_a_number_is_printed(copied: Path, root: Path) -> None:
    replaced(copied / "config/schema.py", "class Report(Section):\n", "class Report(Section):\n    toy: Count\n")
    replaced(root / "params.yaml", "report:\n", "report:\n  toy: 3\n")
    replaced(copied / "telling.py", '" ms"', '" milliseconds"')
    code = (
        "from pathlib import Path; from helixnas.config import load; from helixnas.results import Budget;"
        "print(load(Path()).report.toy, Budget(latency_ms=load(Path()).report.toy))"
    )
    assert python(copied, root, "-c", code) == "3 latency_ms <= 3.00 milliseconds\n"
