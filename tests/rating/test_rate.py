"""Rating down the tree is rating each path alone, and repeats to the bit."""

import torch

from helixnas.data import ImageSet
from helixnas.progress import silent
from helixnas.rating import rate
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet, recalibrate
from helixnas.teacher import BlockBatch, CutTeacher, DistillLoss, block_batch


def test_each_node_once_gives_the_losses_of_each_path_alone(
    teacher: CutTeacher, space: SearchSpace, parts: dict[str, ImageSet]
) -> None:
    torch.manual_seed(0)
    block = space.blocks[1]
    supernet = BlockSupernet(block, teacher.blocks[1]).eval()
    calibration = block_batch(teacher, 1, parts["train"].normalized()[:64]).inputs
    batch = block_batch(teacher, 1, parts["rating"].normalized()[:40])
    loss = DistillLoss(torch.ones(16))
    halves = [BlockBatch(batch.inputs[:20], batch.targets[:20]), BlockBatch(batch.inputs[20:], batch.targets[20:])]
    table = rate(supernet, block, loss, calibration, halves, 0, silent)
    again = rate(supernet, block, loss, calibration, halves, 0, silent)
    assert table == again
    assert table.distill_loss[0] == 0.0  # the teacher's own block
    for path, rated in list(zip(block.paths(), table.distill_loss, strict=True))[1:]:
        alone = torch.nn.Sequential(*supernet.operations(path))
        recalibrate(alone, [calibration])
        with torch.no_grad():
            outputs = torch.cat([alone(half.inputs) for half in halves])
        assert float(loss.per_image(outputs, batch.targets).numpy().mean()) == rated
