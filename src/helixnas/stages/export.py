"""export: the student as files that run without this program, each proved on the test part, and the model card.

The test part is read to prove, and chooses nothing: int8 is kept or not by the rating part.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict

import torch

from helixnas import artifacts
from helixnas.artifacts import folder, save_text
from helixnas.config import RunConfig
from helixnas.cost import machine
from helixnas.cost_kinds import counted
from helixnas.data import ImageSet, room_for
from helixnas.errors import ConfigError
from helixnas.export import (
    CARD,
    INT8,
    MODULE,
    ONNX,
    PT2,
    WEIGHTS,
    CardFacts,
    Contract,
    Int8,
    Runner,
    accuracy,
    decide,
    export_program,
    latencies,
    logits,
    open_file,
    prove,
    save_int8,
    seal,
    write_card,
    write_files,
)
from helixnas.handover.parts import load_part
from helixnas.handover.setting import Setting, begin
from helixnas.handover.space import load_space
from helixnas.handover.student import load_deployed
from helixnas.handover.tables import load_search_result
from helixnas.handover.teacher import load_teacher_accuracy
from helixnas.results import wilson_interval
from helixnas.runtimes import OPSET, Latency
from helixnas.telling import quantity

STUDENT = "student in torch"
NUM_CALIBRATION_IMAGES = 256
"""Of the train part: by them int8 learns which range each activation has."""


def run(config: RunConfig) -> None:
    """Run the stage: write the files, time them, decide on int8, prove each file, and write the card."""
    setting = begin("export", config, config.export.num_threads)
    out, settings = setting.out, config.export
    train = load_part(setting.root, "train")
    contract, title = Contract(train.class_names, train.in_shape), _title(setting)
    student = load_deployed(setting.root, config).requires_grad_(False)
    write_files(out, export_program(student, train.in_shape), student, contract, title)
    reason = _write_int8(setting, train, contract)
    names = [name for name in (ONNX, INT8, PT2, MODULE) if (out / name).exists()]
    runners = {name: open_file(out / name, settings.num_threads) for name in names}
    image = train.read(torch.arange(1)).float() / 255
    times = latencies({**runners, STUDENT: student}, image, settings.num_queries)
    int8 = None
    if INT8 in runners:
        int8 = _decide(setting, runners, times)
        reason = int8.reason
        if not int8.kept:
            del runners[INT8]
            (out / INT8).unlink()
    test = load_part(setting.root, "test")
    wanted = logits(student, test)
    proofs = [prove(out / name, run, wanted, test, times[name], settings.num_threads) for name, run in runners.items()]
    for proof in proofs:
        if proof.file != INT8:  # which rounds on purpose; its accuracy was judged on the rating part
            proof.require(settings.tolerance)
    card = _card_facts(setting, title, accuracy(wanted, test), times[STUDENT], reason)
    save_text(out / CARD, write_card(card, contract, proofs))
    facts = {
        "contract": contract.facts(),
        "opset": OPSET,
        "machine": machine(torch.device("cpu")),
        "num_test_images": len(test),
        "tolerance": settings.tolerance,
        "student": {"top1_acc": card.student_acc, "latency": asdict(card.student_latency)},
        "files": {proof.file: asdict(proof) for proof in proofs},
        "int8": {"kept": False, "reason": reason} if int8 is None else asdict(int8),
    }
    seal(out, [*runners, WEIGHTS, CARD], facts)


def _write_int8(setting: Setting, train: ImageSet, contract: Contract) -> str:
    """Write the file in int8 if it is asked for; why there is none, or nothing."""
    asked = setting.config.export.int8
    if asked is False:
        return "export.int8 is false."
    calibration = train.first(min(NUM_CALIBRATION_IMAGES, len(train)))
    batches = (calibration.read(rows).float() / 255 for rows in calibration.batches(room_for(train.in_shape)))
    try:
        save_int8(setting.out / ONNX, batches, contract, setting.out / INT8)
    except ConfigError as error:
        if asked is True:
            raise
        return str(error)
    return ""


def _decide(setting: Setting, runners: Mapping[str, Runner], times: Mapping[str, Latency]) -> Int8:
    """Decide on int8 by the rating part, and tell."""
    settings, rating = setting.config.export, load_part(setting.root, "rating")
    acc, float_acc = (accuracy(logits(runners[name], rating), rating) for name in (INT8, ONNX))
    int8 = decide(settings.int8 is True, settings.max_acc_drop, (acc, float_acc), (times[INT8], times[ONNX]))
    print(f"{INT8} is {'kept' if int8.kept else 'left out'}: {int8.reason}", file=sys.stderr)
    return int8


def _title(setting: Setting) -> str:
    arch = artifacts.load_json(setting.root / folder("retrain") / "arch.json", "arch")
    return f"Student {arch['arch_id']} of {setting.config.teacher.source}"


def _card_facts(setting: Setting, title: str, student_acc: float, latency: Latency, int8: str) -> CardFacts:
    """What the card tells of the run."""
    root, config = setting.root, setting.config
    result = load_search_result(root, load_space(root, config))
    teacher_acc = load_teacher_accuracy(root)
    parts = [load_part(root, "train"), load_part(root, "rating"), load_part(root, "test")]
    here = machine(torch.device("cpu"))
    return CardFacts(
        title=title,
        teacher=config.teacher.source,
        teacher_acc=None if teacher_acc is None else str(teacher_acc),
        data=config.data.source,
        split=parts[2].split,
        num_images=(len(parts[0]), len(parts[1]), len(parts[2])),
        is_labelled=parts[2].is_labelled,
        interval=wilson_interval(student_acc, len(parts[2])),
        student_acc=student_acc,
        student_latency=latency,
        costs={name: quantity(name, result.chosen.cost[name]) for name in counted(result.chosen.cost)},
        budget={name: f"at most {quantity(name, limit)}" for name, limit in result.budget.items()},
        machine=f"{here['device']}, {here['system']}",
        int8=int8,
    )
