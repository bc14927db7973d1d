"""What can be chosen: candidates, cells, paths, architectures and spaces, in pure Python without torch."""

from helixnas.search_space.architecture import Architecture, Path
from helixnas.search_space.block import BlockSpace, Cell, LayerSpec, SearchSpace
from helixnas.search_space.build import build
from helixnas.search_space.candidate import SKIP, TEACHER, Candidate, custom_candidate, mbconv
from helixnas.search_space.codec import block_from_json, block_to_json
from helixnas.search_space.target import TargetShape, keeps_interface, target_shape

__all__ = [
    "SKIP",
    "TEACHER",
    "Architecture",
    "BlockSpace",
    "Candidate",
    "Cell",
    "LayerSpec",
    "Path",
    "SearchSpace",
    "TargetShape",
    "block_from_json",
    "block_to_json",
    "build",
    "custom_candidate",
    "keeps_interface",
    "mbconv",
    "target_shape",
]
