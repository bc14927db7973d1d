"""How soon ``helixnas --help`` answers. Run: python benchmarks/start_up.py"""

import subprocess
import sys

from figure import Figure, publish, timed

NUM_ROUNDS = 9


def help_page() -> None:
    subprocess.run([sys.executable, "-m", "helixnas", "--help"], check=True, capture_output=True)


def bare() -> None:
    subprocess.run([sys.executable, "-c", "import typer, rich.markdown"], check=True, capture_output=True)


def main() -> None:
    help_page()  # from now on the files are in memory
    seconds = tuple(timed(help_page)[0] for _ in range(NUM_ROUNDS))
    least = min(timed(bare)[0] for _ in range(NUM_ROUNDS))
    publish(
        Figure(
            "helixnas --help",
            "Python with Typer and Rich alone",
            seconds,
            0.5,
            "s",
            is_more_better=False,
            note=f"of that, Python with Typer and Rich alone takes {least:.2f} s at best",
        )
    )


if __name__ == "__main__":
    main()
