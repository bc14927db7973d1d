"""A stage of the small project: what it writes depends on what it reads. Files under ``trouble/`` make it misbehave."""

import hashlib
import os
import sys
import time
from pathlib import Path

name, *inputs = sys.argv[1:]
Path("runs").mkdir(exist_ok=True)
with Path("runs", name).open("a") as runs:
    runs.write(f"{os.getpid()}\n")
trouble = Path("trouble", name)
if trouble.exists():
    print("at work", flush=True)
    if trouble.read_text() == "sleep":
        time.sleep(600)
    if trouble.read_text() == "raise":
        raise RuntimeError("boom")
    print(f"error: {trouble.read_text()}", file=sys.stderr)
    sys.exit(2)
digest = hashlib.sha256(name.encode())
for path in inputs:
    digest.update(Path(path).read_bytes())
out = Path("artifacts", name, "value.txt")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(digest.hexdigest())
