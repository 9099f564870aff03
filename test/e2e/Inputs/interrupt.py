"""interrupt.py RUN COMMAND...: sends SIGTERM once the training has written metrics, and expects exit code 75."""
import os
import signal
import subprocess
import sys
import time

run, command = sys.argv[1], sys.argv[2:]
metrics = os.path.join(run, "metrics.jsonl")
process = subprocess.Popen(command)
deadline = time.monotonic() + 60
while process.poll() is None and time.monotonic() < deadline:
    if os.path.exists(metrics) and open(metrics, "rb").read().count(b"grad_norm") >= 20:
        break
process.send_signal(signal.SIGTERM)
code = process.wait()
if code != 75:
    sys.exit(f"expected exit code 75, not {code}")
