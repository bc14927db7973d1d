"""The model card: what a registered student is, how good and how fast, how to load it, and what is not known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helixnas.export.contract import MODES, Contract
from helixnas.export.files import INT8, MODULE, ONNX, PT2
from helixnas.export.prove import Proof
from helixnas.runtimes import INPUT, OPSET, Latency

MAX_CLASSES = 20
"""So many class names are listed; all of them are in the files."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card tells beside the files.

    Attributes:
        title: Which student this is.
        teacher: Its source, as params.yaml has it.
        teacher_acc: A sentence on its accuracy; None where that was not measured.
        data: Its source.
        split: The digest of its split.
        num_images: Images in the parts train, rating and test.
        is_labelled: Whether the accuracies are of labels, or of the teacher's classes.
        interval: 95 % of the student's accuracy on the test part, 0 to 1.
        student_acc: The student's accuracy in torch on the test part, 0 to 1.
        student_latency: Of the student in torch.
        costs: Kinds of cost and the student's, in words.
        budget: Kinds of cost and their limits, in words.
        machine: What latency was measured on.
        int8: Why there is a file in int8, or none.
    """

    title: str
    teacher: str
    teacher_acc: str | None
    data: str
    split: str
    num_images: tuple[int, int, int]
    is_labelled: bool
    interval: tuple[float, float]
    student_acc: float
    student_latency: Latency
    costs: Mapping[str, str]
    budget: Mapping[str, str]
    machine: str
    int8: str


def write_card(facts: CardFacts, contract: Contract, proofs: Sequence[Proof]) -> str:
    """Write the card in Markdown, of a few thousand characters."""
    files = "\n".join(
        f"| `{p.file}` | {p.num_bytes / 1e6:.2f} MB | {p.top1_acc:.2%} | {p.max_difference:.1e} | {p.agreement:.2%} | "
        f"{p.latency.p50_ms:.2f} ms | {p.latency.p90_ms:.2f} ms | {p.runtime} |"
        for p in proofs
    )
    train, rating, test = facts.num_images
    low, high = facts.interval
    meaning = "top-1 accuracy" if facts.is_labelled else "agreement with the teacher (the images have no labels)"
    return f"""# {facts.title}

An image classifier that HelixNAS distilled from a teacher, block by block, and retrained.

| | |
|---|---|
| Teacher | `{facts.teacher}` |
| Its accuracy | {facts.teacher_acc or "unknown: it was not measured"} |
| Data | `{facts.data}`: {train:,} train, {rating:,} rating, {test:,} test; digest `{facts.split or "unknown"}` |
| Classes | {_classes(contract)} |
| Budget | {_listed(facts.budget) or "none"} |
| Cost | {_listed(facts.costs)} |
| Student | {facts.student_acc:.2%} {meaning} on the test part, between {low:.2%} and {high:.2%} with 95 % confidence |
| Input | {contract.input_text} |
| Output | {contract.output_text} |

## Files

| file | size | accuracy | largest difference | same class | median | 90 % | runtime |
|---|---|---|---|---|---|---|---|
{files}

Each was run on the whole test part beside the student in torch; the difference is a share of the largest logit.
Times are of one image after another on {facts.machine}; eager PyTorch takes
{facts.student_latency.p50_ms:.2f} ms for the student.
`{INT8}`: {facts.int8}

## Use

{_usage(contract, [p.file for p in proofs])}

## Limits

- It knows these classes alone, and images like those of its data; any other image gets one of the classes too.
- Times are of this machine; on yours, measure them.
- Unknown: how it does on other data, under noise or attack, or between groups of people; how far its
  probabilities can be trusted.
- Unknown: the licence of the data, and of the teacher's weights, which bind the student too.
"""


def _usage(contract: Contract, files: Sequence[str]) -> str:
    channels, height, width = contract.in_shape
    mode = MODES.get(channels, "RGB")
    pixels = "np.asarray(image, np.float32) / 255"
    batch = f"({pixels})[None, None]" if channels == 1 else f"({pixels}).transpose(2, 0, 1)[None]"
    read = (
        "import numpy as np\n"
        "from PIL import Image, ImageOps\n"
        f'image = ImageOps.fit(Image.open("image.png").convert("{mode}"), ({width}, {height}), Image.BILINEAR)\n'
        f"images = {batch}\n"
    )
    runs = {
        ONNX: (
            f'import onnxruntime\nsession = onnxruntime.InferenceSession("{ONNX}")\n'
            f'logits = session.run(None, {{"{INPUT}": images}})[0]'
        ),
        PT2: f'import torch\nlogits = torch.export.load("{PT2}").module()(torch.from_numpy(images))',
        MODULE: 'import torch\nfrom model import load\nlogits = load("student.safetensors")(torch.from_numpy(images))',
    }
    shown = "".join(f"`{name}`:\n\n```python\n{code}\n```\n\n" for name, code in runs.items() if name in files)
    also = f"`{INT8}` is read as `{ONNX}` is. " if INT8 in files else ""
    return (
        f"An image file as a batch:\n\n```python\n{read}```\n\n{shown}{also}ONNX has opset {OPSET}. "
        "The classes' names: `CLASS_NAMES` of `model.py`, `class_names` in ONNX's metadata."
    )


def _classes(contract: Contract) -> str:
    names = [" ".join(name.split()).replace("|", "/")[:40] for name in contract.class_names]
    more = f" and {len(names) - MAX_CLASSES} more" if len(names) > MAX_CLASSES else ""
    return f"{len(names)}: {', '.join(names[:MAX_CLASSES])}{more}"


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
