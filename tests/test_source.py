"""The digest of the code: the same for the same files, another for any other."""

from pathlib import Path

from helixnas import source


def test_the_digest_follows_names_and_contents_of_python_files(tmp_path: Path) -> None:
    first = source.digest("data", tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert source.digest("data", tmp_path) == first == source.digest("data")
    digests = {first}
    (tmp_path / "a.py").write_text("1")
    digests.add(source.digest("data", tmp_path))
    (tmp_path / "a.py").write_text("2")
    digests.add(source.digest("data", tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    digests.add(source.digest("data", tmp_path))
    assert len(digests) == 4


def test_a_stage_is_followed_to_the_files_that_define_what_it_imports() -> None:
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("rating")}
    assert {"stages/rating.py", "rating/rate.py", "student/supernet.py", "results/tables.py", "blocks.py"} <= names
    assert not names & {"student/__init__.py", "search/exact.py", "results/figures.py", "telling.py", "errors.py"}


def test_of_another_stages_file_only_what_is_used_is_followed() -> None:
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("distill")}
    assert "stages/loading.py" in names  # where `load_calibration` decides which images are measured on
    assert "results/tables.py" not in names  # `load_ratings` stands in the same file as `load_supernet`


def test_how_results_look_counts_for_the_report_alone() -> None:
    for stage in ("teacher", "rating", "search"):
        assert source.PACKAGE / "telling.py" not in source.files_of(stage)
    names = {str(path.relative_to(source.PACKAGE)) for path in source.files_of("report")}
    assert {"telling.py", "report/page.py"} <= names
    assert not names & {"__main__.py", "forkserver.py", "distill/train.py", "rating/rate.py", "search/exact.py"}
