"""Kills a training with SIGKILL again and again, resuming it each time, and lets it finish in the end.

  kill.py RUN KILLS COMMAND...      COMMAND trains into the directory RUN and accepts --resume

Kills fall in the middle of a save, when a directory of RUN/checkpoints ends in .tmp, and between saves, by turns. Each
time a later save than the time before is waited for, so that the run gets on.
"""
import os
import re
import signal
import subprocess
import sys
import time

run, kills, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
checkpoints = os.path.join(run, "checkpoints")


def saves():
    """The steps that have a complete checkpoint, and those that are being written."""
    names = os.listdir(checkpoints) if os.path.isdir(checkpoints) else []
    found = [re.fullmatch(r"step-(\d+)(\.tmp)?", name) for name in names]
    complete = {int(match[1]) for match in found if match and not match[2]}
    return complete, {int(match[1]) for match in found if match and match[2]} - complete


def newest():
    return max(saves()[0], default=0)


def wait(process, condition):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if condition():
            return True
    return False


in_save = 0
for number in range(kills):
    before = newest()
    process = subprocess.Popen(command + ["--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    reached = wait(process, lambda: newest() > before)
    if reached and number % 2 == 0:
        reached = wait(process, lambda: max(saves()[1], default=0) > newest())
    process.send_signal(signal.SIGKILL)
    process.wait()
    complete, partial = saves()
    in_save += max(partial, default=0) > max(complete, default=0)
    if not reached:
        sys.exit(f"the training ended before it could be killed for the {number + 1}. time (exit code {process.returncode})")
    print(f"killed; complete {sorted(complete)}, half written {sorted(partial)}")
if in_save == 0:
    sys.exit("no kill fell in the middle of a save")
sys.exit(subprocess.run(command + ["--resume"]).returncode)
