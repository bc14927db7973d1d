"""The digest of the code: the same for the same files, another for any other."""

from pathlib import Path

from helixnas import source


def test_the_digest_follows_names_and_contents_of_python_files(tmp_path: Path) -> None:
    first = source.digest(tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert source.digest(tmp_path) == first == source.digest()
    digests = {first}
    (tmp_path / "a.py").write_text("1")
    digests.add(source.digest(tmp_path))
    (tmp_path / "a.py").write_text("2")
    digests.add(source.digest(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    digests.add(source.digest(tmp_path))
    assert len(digests) == 4
