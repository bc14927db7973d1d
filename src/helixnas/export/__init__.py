"""A student that needs nothing of ours: files for ONNX Runtime and for torch, each proved, and a card."""

from helixnas.export.card import CardFacts, write_card
from helixnas.export.contract import Contract
from helixnas.export.files import (
    CARD,
    FACTS,
    INT8,
    MODULE,
    ONNX,
    PT2,
    WEIGHTS,
    copy_files,
    exported_files,
    seal,
    write_files,
)
from helixnas.export.int8 import Int8, decide
from helixnas.export.module_text import PlainModule, plain_module
from helixnas.export.onnx_file import save_int8, save_onnx
from helixnas.export.program import export_program, save_program
from helixnas.export.prove import (
    Proof,
    Runner,
    accuracy,
    latencies,
    logits,
    open_file,
    prove,
)

__all__ = [
    "CARD",
    "FACTS",
    "INT8",
    "MODULE",
    "ONNX",
    "PT2",
    "WEIGHTS",
    "CardFacts",
    "Contract",
    "Int8",
    "PlainModule",
    "Proof",
    "Runner",
    "accuracy",
    "copy_files",
    "decide",
    "export_program",
    "exported_files",
    "latencies",
    "logits",
    "open_file",
    "plain_module",
    "prove",
    "save_int8",
    "save_onnx",
    "save_program",
    "seal",
    "write_card",
    "write_files",
]
