"""report: the final figures on the test part, and the page that shows them."""

from pathlib import Path

import pandas as pd
import torch
from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cost import count, machine, measure, runner
from helixnas.fit import accuracy
from helixnas.report import ReportData, write
from helixnas.search_space import Budget, Figure, Figures, figures_to_json
from helixnas.stages.loading import load_costs, load_part, load_ratings, load_search_result, load_space, load_teacher
from helixnas.stages.retrain import load_student
from helixnas.stages.setting import Setting, begin, environment_facts


def run(config: RunConfig) -> None:
    setting = begin("report", config, config.report.num_threads)
    space = load_space(setting.root, config)
    result = load_search_result(setting.root, space)
    figures = _figures(setting, result.chosen.architecture.arch_id, result.budget)
    artifacts.save_json(setting.out / "figures.json", "figures", figures_to_json(figures))
    data = ReportData(
        figures=figures,
        result=result,
        space=space,
        ratings=load_ratings(setting.root, space),
        costs=load_costs(setting.root, space, is_measured=bool(config.cost.latency.num_rounds)),
        curves=_curves(setting.root, len(space.blocks)),
        trials=pd.read_csv(setting.root / folder("search") / "trials.csv"),
        facts={
            **figures.machine,
            **environment_facts(),
            "seed": str(config.seed),
            "data": config.data.source,
            "split": figures.split,
        },
    )
    write(setting.out / "report.html", data)


def _figures(setting: Setting, arch_id: str, budget: Budget) -> Figures:
    config, root = setting.config, setting.root
    test = load_part(root, "test")
    teacher = load_teacher(root, config, torch.device("cpu"))
    networks: dict[str, nn.Module] = {
        "teacher": teacher.network,
        "student before retraining": load_student(root, config, teacher, "initial"),
        "student": load_student(root, config, teacher, "student"),
    }
    latencies = _latencies(setting, list(networks.values()), test.in_shape)
    rows = []
    for (name, network), latency_ms in zip(networks.items(), latencies, strict=True):
        counted = count(network.cpu(), test.in_shape)
        cost = type(counted)(counted.madds, counted.num_params, latency_ms)
        rows.append(Figure(name, accuracy(network, test), cost))
    teacher_row, before, after = rows
    facts = machine(setting.device), test.split, test.is_labelled
    return Figures(arch_id, teacher_row, before, after, budget, len(test), *facts)


def _latencies(setting: Setting, networks: list[nn.Module], in_shape: tuple[int, ...]) -> list[float]:
    settings = setting.config.cost.latency
    inputs = torch.rand(settings.batch_size, *in_shape, device=setting.device)
    runs = [runner(network.to(setting.device).eval(), inputs) for network in networks]
    return measure(runs, setting.config.report.num_latency_rounds, settings.quantile, setting.progress)


def _curves(root: Path, num_blocks: int) -> dict[str, pd.DataFrame]:
    paths = {"teacher": root / folder("teacher"), "retrain": root / folder("retrain")}
    paths |= {f"distill@{block_id}": root / folder("distill", block_id) for block_id in range(num_blocks)}
    return {stage: pd.read_csv(path / "curve.csv") for stage, path in paths.items()}
