"""report: the final figures on the test part, and the page that shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.compare import Rival
from helixnas.config import RunConfig
from helixnas.cost import count, from_pixels, machine, measure, measuring_device
from helixnas.data import ImageSet
from helixnas.fit import top1
from helixnas.handover.parts import load_part
from helixnas.handover.setting import CURVE, Setting, begin, environment_facts
from helixnas.handover.space import load_space
from helixnas.handover.student import load_retraining, load_rival, load_rivals, load_student
from helixnas.handover.tables import load_costs, load_ratings, load_search_result, load_trust
from helixnas.handover.teacher import load_layer_losses, load_teacher, load_teacher_accuracy
from helixnas.report import ReportData, rating_warnings, write
from helixnas.results import Budget, Comparison, Figure, Figures, SearchResult, figures_to_json, holm, mcnemar
from helixnas.search_space import SearchSpace
from helixnas.teacher import idle_layers_warning
from helixnas.telling import member


def run(config: RunConfig) -> None:
    """Run the stage: take the final figures on the test part, and write the page."""
    setting = begin("report", config, config.report.num_threads)
    space = load_space(setting.root, config)
    result = load_search_result(setting.root, space)
    ratings, layers = load_ratings(setting.root, space), load_layer_losses(setting.root)
    rivals, teacher = load_rivals(setting.root), load_teacher_accuracy(setting.root)
    trust = load_trust(setting.root)
    trials = artifacts.load_csv(setting.root / folder("search") / "trials.csv", "trials")
    curves = _curves(setting.root, len(space.blocks))
    of_teacher = (teacher and teacher.warning, idle_layers_warning(layers))
    is_read = ratings[0].criterion != "population"  # what a teacher knows is of no matter where nothing reads it
    warnings = (*(of_teacher if is_read else ()), *rating_warnings(space, ratings))
    figures = replace(
        _figures(setting, space, result, [rival for rival in rivals if rival.has_weights]),
        warnings=tuple(warning for warning in warnings if warning),
        trust=str(trust),
    )
    artifacts.save_json(setting.out / "figures.json", "figures", figures_to_json(figures))
    facts = {**figures.machine, **environment_facts(), "seed": str(config.seed), "data": config.data.source}
    facts["searched by"] = member(ratings[0].criterion)
    data = ReportData(
        figures=figures,
        result=result,
        space=space,
        ratings=ratings,
        costs=load_costs(setting.root, space, config.cost.kinds),
        curves=curves,
        trials=trials,
        teacher=teacher,
        layers=layers,
        trust=trust,
        facts=facts | {"split": figures.split, "obvious ways": _counted_ways(rivals)} | _predicted(setting.root),
    )
    write(setting.out / "report.html", data)


def _figures(setting: Setting, space: SearchSpace, result: SearchResult, rivals: Sequence[Rival]) -> Figures:
    config, root = setting.config, setting.root
    test = load_part(root, "test", setting.num_loaders)
    teacher = load_teacher(root, config, torch.device("cpu"))
    networks: list[tuple[str, nn.Module]] = [
        ("teacher", teacher.network),
        ("student before retraining", load_student(root, config, teacher, "initial")),
        ("student", load_student(root, config, teacher, "student")),
    ]
    networks += [(r.name, load_rival(root, space, teacher, r, "student")) for r in rivals if not r.is_chosen]
    whole, before, student, *others = _tested(setting, networks, test)
    retrained, comparisons = iter(others), []
    for rival in rivals:
        untrained = _is_right(load_rival(root, space, teacher, rival, "initial").to(setting.device), test)
        other = student if rival.is_chosen else next(retrained)
        comparisons.append(_comparison(rival, untrained, student, other, result.budget))
    return Figures(
        arch_id=result.chosen.architecture.arch_id,
        teacher=whole.figure,
        student_before=before.figure,
        student=student.figure,
        budget=result.budget,
        num_test_images=len(test),
        machine=machine(setting.device, setting.config.cost),
        retraining=load_retraining(root),
        comparisons=_corrected(comparisons),
        split=test.split,
        is_labelled=test.is_labelled,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tested:
    """A network's figure, and of each test image whether the network is right, bool [N]."""

    figure: Figure
    is_right: Tensor


def _tested(setting: Setting, networks: Sequence[tuple[str, nn.Module]], test: ImageSet) -> list[_Tested]:
    settings, kinds, rounds = setting.config.cost, setting.config.cost.kinds, setting.config.report.num_latency_rounds
    device = measuring_device(settings, setting.device)
    inputs = torch.rand(settings.latency.batch_size, *test.in_shape, device=device)
    subjects = [(from_pixels(network.to(device).eval()), inputs) for _, network in networks]
    costs = measure(subjects, kinds, settings, setting.progress, rounds)
    tested = []
    for (name, network), measured in zip(networks, costs, strict=True):
        is_right = _is_right(network.to(setting.device), test)
        cost = (count(network.cpu(), test.in_shape, kinds) | measured).only(kinds)
        tested.append(_Tested(Figure(name, _share(is_right), cost), is_right))
    return tested


def _is_right(network: nn.Module, test: ImageSet) -> Tensor:
    return top1(network, test) == test.labels


def _share(is_right: Tensor) -> float:
    return float(is_right.double().mean())


def _comparison(rival: Rival, untrained: Tensor, student: _Tested, other: _Tested, budget: Budget) -> Comparison:
    num_student_only = int((student.is_right & ~other.is_right).sum())
    num_other_only = int((other.is_right & ~student.is_right).sum())
    return Comparison(
        kind=rival.kind,
        arch_id=rival.arch_id,
        figure=replace(other.figure, name=rival.name),
        untrained_acc=_share(untrained),
        is_chosen=rival.is_chosen,
        excess=budget.excess(rival.cost),
        num_student_only=num_student_only,
        num_other_only=num_other_only,
        p_value=mcnemar(num_student_only, num_other_only),
    )


def _predicted(root: Path) -> dict[str, str]:
    """How well the tables foretold the latencies of whole files, in words; nothing where latency is not limited."""
    loop = artifacts.load_json(root / folder("search") / "latency.json", "latency")
    if loop is None:
        return {}
    correction, stream, chosen = loop["correction"], loop["single_stream"], loop["pairs"][-1]
    predicted = correction["scale"] * chosen["sum_ms"] + correction["offset_ms"]
    return {
        "predicted latency": (
            f"of {len(loop['pairs'])} whole files, sums of blocks foretell {loop['share_within_before']:.0%} "
            f"within 10 %; as {correction['scale']:.3f} times the sum {correction['offset_ms']:+.3f} ms, "
            f"{loop['share_within_after']:.0%}. The last chosen: {chosen['sum_ms']:.3f} ms as a sum, "
            f"{predicted:.3f} ms corrected, {chosen['measured_ms']:.3f} ms measured, "
            f"which {'fits' if loop['has_fit'] else 'misses'} the limit of {loop['limit_ms']:.3f} ms"
        ),
        "latency of its file, one query after another": (
            f"median {stream['p50_ms']:.3f} ms, 90 % {stream['p90_ms']:.3f} ms, n = {stream['num_queries']} queries, "
            f"{stream['runtime']}"
        ),
    }


def _corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The same with Holm's p over all networks that the student is compared with."""
    others = [each for each in comparisons if not each.is_chosen]
    corrected = iter(holm([each.p_value for each in others]))
    return tuple(each if each.is_chosen else replace(each, holm_p=next(corrected)) for each in comparisons)


def _counted_ways(rivals: Sequence[Rival]) -> str:
    ways = [rival for rival in rivals if rival.kind == "obvious"]
    num_trained = sum(way.after is not None for way in ways)
    return f"{len(ways)} were measured untrained on the rating part, the best {num_trained} of them were retrained"


def _curves(root: Path, num_blocks: int) -> dict[str, pd.DataFrame]:
    paths = {"teacher": root / folder("teacher"), "retrain": root / folder("retrain")}
    paths |= {f"distill@{block_id}": root / folder("distill", block_id) for block_id in range(num_blocks)}
    return {stage: artifacts.load_csv(path / "curve.csv", CURVE) for stage, path in paths.items()}
