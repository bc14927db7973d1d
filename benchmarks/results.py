"""Measure every figure, each script in a process of its own, and write RESULTS.md. Run: make bench"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figure import Figure

HERE = Path(__file__).parent
OTHERS = {
    "agreement.py",
    "big_data.py",
    "cut_zoo.py",
    "distilling.py",
    "faults_inputs.py",
    "figure.py",
    "latency_sums.py",
    "results.py",
    "tables.py",
}
"""Not figures of speed."""
AGREEMENT = "agreement_"
"""The scripts that start so look at a finished run, for some ten minutes each: `make agreement`."""


def main() -> int:
    scripts = sorted(
        path for path in HERE.glob("*.py") if path.name not in OTHERS and not path.name.startswith(AGREEMENT)
    )
    start, rows, failed, wheres = time.perf_counter(), [], [], set()
    for script in scripts:
        print(f"\n{script.name}", flush=True)
        result = _run(script)
        if result is None:
            failed.append(script.name)
            continue
        figures, where = result
        rows += [(script, figure) for figure in figures]
        wheres.add(where)
    minutes = (time.perf_counter() - start) / 60
    (HERE / "RESULTS.md").write_text(page(rows, failed, sorted(wheres), minutes), encoding="utf-8")
    print(f"\n{len(rows)} figures in {minutes:.1f} min: benchmarks/RESULTS.md")
    return 1 if failed else 0


def _run(script: Path) -> tuple[list[Figure], str] | None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        if subprocess.run([sys.executable, str(script), "--out", str(out)], check=False).returncode or not out.exists():
            return None
        saved = json.loads(out.read_text(encoding="utf-8"))
    return [Figure(**row) for row in saved["figures"]], saved["where"]


def page(rows: list[tuple[Path, Figure]], failed: list[str], wheres: list[str], minutes: float) -> str:
    lines = [
        "# What is measured",
        "",
        f"Written by `make bench` in {minutes:.1f} minutes. Each figure is the median of n rounds in one run, both",
        "ways taken in turns; x is how many times as fast as the rival. A missed goal is told as plainly as a met one.",
        "",
        "| figure | against | measured | goal | |",
        "|---|---|---|---|---|",
        *(_row(script, figure) for script, figure in rows),
        "",
        *(f"- [{name}]({name}) FAILED to run." for name in failed),
        *(f"- {figure.name}: {figure.note}" for _, figure in rows if figure.note),
        *(f"- Measured on {where}." for where in wheres),
    ]
    return "\n".join(lines) + "\n"


def _row(script: Path, figure: Figure) -> str:
    unit = figure.unit if figure.unit in ("x", "%", "") else f" {figure.unit}"
    measured = f"**{figure.value:.3g}{unit}** ({figure.spread})"
    goal = f"{'≥' if figure.is_more_better else '≤'} {figure.goal:g}{unit}"
    verdict = "met" if figure.is_met else "**missed**"
    return f"| [{figure.name}]({script.name}) | {figure.rival} | {measured} | {goal} | {verdict} |"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
