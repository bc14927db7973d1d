"""A folder of class folders, or of images without labels."""

from pathlib import Path

import torch

from helixnas.data.decode import SUFFIXES
from helixnas.data.files import ALONE, Files
from helixnas.data.listing import files_below, require_ordinary
from helixnas.data.source import UNLABELLED, Source, few, of_files
from helixnas.errors import DataError

TRAIN, TEST = "train", "test"


def open_source(_name: str, path: Path, channels: int | None) -> Source:
    """Open ``CLASS/**/image``, or ``train/CLASS/...`` and ``test/CLASS/...`` where the test images are already chosen.

    Classes are the folders' names in alphabetical order; images come in the alphabetical order of their files. Where
    there are no class folders, the images that lie in the folder itself have no labels.

    Raises:
        DataError: There is no such folder, or only some images lie in class folders.
    """
    if not path.is_dir():
        raise DataError(
            f"data.path must be a folder of class folders or of images, but {path} is none. Correct it in params.yaml."
        )
    require_ordinary(path)
    has_split = (path / TRAIN).is_dir() and (path / TEST).is_dir()
    tops = [path / TRAIN, path / TEST] if has_split else [path]
    class_names = sorted({folder.name for top in tops for folder in _folders(top)})
    bare = {
        top: sorted(file for file in top.iterdir() if file.suffix.lower() in SUFFIXES and not file.is_dir())
        for top in tops
    }
    if class_names and any(bare.values()):
        listed = few([str(file) for files in bare.values() for file in files])
        raise DataError(
            f"All images or none must lie in class folders, but these lie beside them: {listed}. Move or remove them."
        )
    files, labels, is_test = list[str](), list[int](), list[bool]()
    for top in tops:
        for folder in _folders(top) if class_names else [top]:
            found = files_below(folder, SUFFIXES) if class_names else bare[top]
            files += map(str, found)
            labels += [class_names.index(folder.name) if class_names else UNLABELLED] * len(found)
            is_test += [top.name == TEST] * len(found)
    split = torch.tensor(is_test) if has_split else None
    numbers = torch.tensor(labels, dtype=torch.int64)
    return of_files(numbers, class_names, Files(files, [ALONE] * len(files)), channels, split)


def _folders(top: Path) -> list[Path]:
    """The class folders; DataError for one that holds all of them, by way of a link."""
    folders = sorted(folder for folder in top.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    for folder in folders:
        if top.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"Class folders must lie below {top}, but {folder} leads back there. Remove the link.")
    return folders
