"""A command for ``cost.latency.command``: measures an ONNX file where it will run, and prints milliseconds.

Here that is this machine. For a phone or a board, copy the file there, run the runtime's own benchmark, and print what
it says; for example, behind ``adb push`` or ``scp``. The last line of what is printed must be a number. Use it as

    cost: {latency: {command: python examples/on_device.py}}
"""

import statistics
import sys
import time

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[-1], providers=["CPUExecutionProvider"])
feed = {each.name: np.random.default_rng(0).random(each.shape).astype(np.float32) for each in session.get_inputs()}
times_ms = []
for _ in range(60):
    start = time.perf_counter()
    session.run(None, feed)
    times_ms.append((time.perf_counter() - start) * 1000)
print(f"{statistics.median(times_ms[10:]):.4f}")
