"""compare: the obvious alternatives to the chosen student, untrained and retrained exactly as it is.

All is measured on the rating part. The weights are kept for the report, which alone reads the test part.
"""

import sys
from dataclasses import replace
from pathlib import Path

from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.compare import Rival, ablations, obvious_ways, random_rivals, reach, rival_to_json
from helixnas.config import RunConfig
from helixnas.data import INDEX, derive_seed
from helixnas.fit import Checkpoint, pinned
from helixnas.handover.feature_cache import cache_for_students
from helixnas.handover.parts import load_calibration, load_part
from helixnas.handover.setting import Setting, begin, clear
from helixnas.handover.space import block_files, load_space
from helixnas.handover.student import RESULTS, load_supernet, new_supernets
from helixnas.handover.tables import load_chosen, load_costs, load_outer_costs
from helixnas.handover.teacher import load_teacher, load_variances, new_teacher
from helixnas.progress import Progress, forget
from helixnas.results import Budget
from helixnas.retrain import retrain
from helixnas.search_space import SearchSpace, keeps_interface
from helixnas.student import StudentNetwork, assemble, recalibrate


def run(config: RunConfig) -> None:
    """Run the stage: measure the alternatives, retrain the best of them, and save both."""
    setting = begin("compare", config, config.compare.num_threads)
    compared, resumes = _compared(setting) if config.compare.enabled else ([], [])
    artifacts.save_json(setting.root / RESULTS, "compare", list(map(rival_to_json, compared)))
    for resume in resumes:
        clear(resume)


def _compared(setting: Setting) -> tuple[list[Rival], list[Path]]:
    """All rivals with what they reach, and the folders of half-done work, to be cleared once the result is saved."""
    space = load_space(setting.root, setting.config)
    rivals = _rivals(setting, space)
    if not rivals:
        return [], []
    trainer = _Trainer(setting, space)
    rivals = [replace(rival, before=reach(trainer.initial(rival), trainer.rating)) for rival in rivals]
    for rival in rivals:
        if rival.is_chosen:  # its retrained weights are the chosen student's
            trainer.save(rival, "initial", trainer.initial(rival))
    others = [rival for rival in rivals if not rival.is_chosen]
    # the obvious ways with the lowest loss on the rating part, and all others
    obvious = [rival for rival in others if rival.kind == "obvious"]
    best = sorted(obvious, key=lambda rival: rival.before.val_loss if rival.before else 0.0)
    to_train = best[: setting.config.compare.num_retrained]
    to_train += [rival for rival in others if rival.kind != "obvious"]
    trained: dict[str, Rival] = {}
    resumes = []
    for index, rival in enumerate(to_train):
        student, resume = trainer.train(rival, _part_of(setting.progress, index, len(to_train)))
        trained[rival.key] = replace(rival, after=reach(student, trainer.rating))
        resumes.append(resume)
    return [trained.get(rival.key, rival) for rival in rivals], resumes


def _rivals(setting: Setting, space: SearchSpace) -> list[Rival]:
    """All rivals under the budget, before anything is measured."""
    config, root = setting.config, setting.root
    costs = load_costs(root, space, config.searched_kinds)
    fixed, teacher_cost = load_outer_costs(root, config.searched_kinds)
    budget = Budget.resolve(config.search.budget, teacher_cost)
    asked, seed = config.compare.random, derive_seed(setting.seed, "random")
    drawn = random_rivals(space, costs, fixed, budget, asked, seed)
    if len(drawn) < asked:
        print(f"Only {len(drawn)} of {asked} random architectures were found close under the budget.", file=sys.stderr)
    chosen = load_chosen(root, space)
    proposed = (*obvious_ways(space, costs, fixed, budget), *drawn)
    rivals = [replace(rival, is_chosen=rival.arch_id == chosen.arch_id) for rival in proposed]
    if config.retrain.init == "scratch":  # the chosen student itself knows nothing of the teacher or of its distilling
        return rivals
    undistilled, from_scratch = ablations(chosen, space, costs, fixed)
    rivals += [undistilled] if config.compare.undistilled else []
    return rivals + ([from_scratch] if config.compare.from_scratch else [])


def _part_of(progress: Progress, index: int, num_parts: int) -> Progress:
    """The progress of one of several works of the same size, told as progress of them all."""
    return lambda done, total: progress(index * total + done, num_parts * total)


class _Trainer:
    """Assembles rivals and trains them as the retrain stage does the chosen student."""

    def __init__(self, setting: Setting, space: SearchSpace) -> None:
        config, root = setting.config, setting.root
        self._setting, self._space = setting, space
        self._teacher = load_teacher(root, config, setting.device)
        self._train, self.rating = load_part(root, "train"), load_part(root, "rating", setting.num_loaders)
        self._calibration = load_calibration(root, config, space)
        self._fresh = [supernet.to(setting.device) for supernet in new_supernets(space, self._teacher)]
        self._distilled = [
            load_supernet(root, block, self._teacher).to(setting.device)
            for block in (space.blocks if config.compare.random else ())
        ]
        self._seed = derive_seed(config.seed, "retrain")  # the chosen student's: the same batches in the same order

    def initial(self, rival: Rival, *, is_made_anew: bool = False) -> StudentNetwork:
        """The rival untrained, recalibrated.

        It is made of the teacher's weights as they are, with fresh candidates beside them; of distilled ones if it is
        random; or without anything that was learnt if it is from scratch or ``is_made_anew``.
        """
        device = self._setting.device
        with pinned(derive_seed(self._seed, "init")):
            source, supernets = self._teacher, self._distilled if rival.kind == "random" else self._fresh
            if is_made_anew or rival.kind == "scratch":
                source = new_teacher(self._setting.root, self._setting.config, self._teacher)
                supernets = new_supernets(self._space, source)
            student = assemble(source.stem, supernets, source.head, self._space.parse(rival.arch_id)).to(device)
        recalibrate(student, (images.to(device) for images in self._calibration.normalized_batches()))
        return student

    def save(self, rival: Rival, weights: str, network: nn.Module) -> Path:
        path = self._setting.out / rival.key / f"{weights}.safetensors"
        artifacts.save_tensors(path, "student", network.state_dict(), {"arch_id": rival.arch_id})
        return path

    def train(self, rival: Rival, progress: Progress) -> tuple[StudentNetwork, Path]:
        """The rival retrained, its weights before and after saved, and the folder of what is half done.

        That folder stays until the whole stage is done: DVC removes a killed stage's outputs, and then what was
        trained is taken from there.
        """
        setting, config = self._setting, self._setting.config
        student = self.initial(rival)
        initial = self.save(rival, "initial", student)
        if config.retrain.init == "scratch":
            student = self.initial(rival, is_made_anew=True)
        inputs = [
            setting.root / folder("teacher") / "teacher.safetensors",
            setting.root / folder("data") / "train" / INDEX,
            initial,
            *block_files(setting.root, self._space),
        ]
        resume = setting.resume_folder(["data", "teacher", "retrain"], inputs)
        retrain(
            student.requires_grad_(True),
            self._teacher,
            self._train,
            self.rating,
            config.retrain,
            self._seed,
            setting.device,
            Checkpoint(resume / "checkpoint.pt"),
            forget,
            progress,
            setting.num_loaders,
            load_variances(setting.root, self._space) if keeps_interface(self._space) else None,
            cache_for_students(setting, self._teacher, self._train),
        )
        self.save(rival, "student", student)
        return student, resume
