"""The digest of the code: the same for the same files, another for any other."""

from pathlib import Path

from helixnas import source


def test_the_digest_follows_names_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    digests = {source.digest([file], tmp_path)}
    assert source.digest([file], tmp_path) in digests
    file.write_text("2")
    digests.add(source.digest([file], tmp_path))
    file.rename(tmp_path / "b.py")
    digests.add(source.digest([tmp_path / "b.py"], tmp_path))
    assert len(digests) == 3


def test_custom_code_is_followed_by_its_imports_inside_the_project(tmp_path: Path) -> None:
    texts = {
        "own/__init__.py": "",
        "own/operations.py": "import torch\nfrom .helpers import f\nfrom own.deep import far\nimport json",
        "own/helpers.py": "import own.more",
        "own/more.py": "",
        "own/deep/__init__.py": "",
        "own/deep/far.py": "from .. import sibling",
        "own/sibling.py": "",
        "own/unused.py": "from own import operations",
        "own/broken.py": "def f(:",
        "other.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {path.relative_to(tmp_path).as_posix() for path in source.custom_files(tmp_path, "own.operations:ghost")}
    assert found == texts.keys() - {"own/unused.py", "own/broken.py", "other.py"}
    assert tmp_path / "own/broken.py" in source.custom_files(tmp_path, "own.broken:f")
    assert source.custom_files(tmp_path, "torch.nn:Linear") == []


def test_the_digest_of_an_operation_is_of_its_file_and_what_it_imports() -> None:
    assert source.operation_digest("resconv") != source.operation_digest("resatt")
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("distill")}
    assert not any(name.startswith("student/operations/mb") for name in names)


def test_a_stage_is_followed_to_the_files_that_define_what_it_imports() -> None:
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("rating")}
    assert {"stages/rating.py", "rating/rate.py", "student/supernet.py", "results/tables.py", "blocks.py"} <= names
    assert not names & {"student/__init__.py", "search/exact.py", "results/figures.py", "telling.py", "errors.py"}


def test_of_another_stages_file_only_what_is_used_is_followed() -> None:
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("distill")}
    assert "handover/parts.py" in names  # where `load_calibration` decides which images are measured on
    assert "results/tables.py" not in names  # `load_ratings` stands in the same file as `load_supernet`


def test_how_results_look_counts_for_the_report_alone() -> None:
    for stage in ("teacher", "rating", "search"):
        assert source.PACKAGE / "telling.py" not in source.files_of(stage)
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("report")}
    assert {"telling.py", "report/page.py"} <= names
    assert not names & {"__main__.py", "forkserver.py", "distill/train.py", "rating/rate.py", "search/exact.py"}
