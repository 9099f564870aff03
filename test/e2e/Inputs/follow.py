"""Trains on one target, and continues every checkpoint of it on another, step beside step.

  follow.py MOE_RUN LEADER.moe FOLLOWER.moe DATA WORK [STEPS [EVERY [TOLERANCE]]]

Targets round differently, and once a router's choice turns on that, two runs part. So over many steps curves can be
compared on average only. Here the follower starts from the leader's checkpoint every EVERY steps, with what the leader's
optimizer knew: each of the STEPS losses is compared, and none may differ by more than TOLERANCE of it. The other way
round, the leader continues what the follower leaves, every fourth time: checkpoints go both ways.
"""
import os
import shutil
import subprocess
import sys

from metrics import losses

moe_run, leader, follower, data, work = sys.argv[1:6]
steps, every = int((sys.argv[6:] or [200])[0]), int((sys.argv[7:] or [25])[0])
tolerance = float((sys.argv[8:] or [1e-5])[0])


def train(artifact, run, last, *options):
    # A schedule that does not depend on the number of steps.
    command = [moe_run, "train", artifact, "--data", data, "--run", run, "--steps", str(last), "--seed", "3", "--warmup", "20",
               "--schedule", "constant", "--eval-every", "0", "--save-every", str(every), "--keep", "0", "--quiet",
               "--no-progress", *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr}")
    return losses(run)


def resume(artifact, source, run, first):
    """EVERY steps from the checkpoint of `source` after step `first`."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(source, run, ignore=lambda folder, names: [
        name for name in names if name.startswith("step-") and name != f"step-{first}"])
    return train(artifact, run, first + every, "--resume")


def compare(expected, actual, first, what):
    differences = {step: abs(actual[step] - expected[step]) / abs(expected[step])
                   for step in range(first + 1, first + every + 1)}
    worst = max(differences, key=differences.get)
    print(f"{what}, steps {first + 1} to {first + every}: at most {differences[worst]:.1e} apart (step {worst})")
    return differences[worst] <= tolerance


shutil.rmtree(work, ignore_errors=True)
whole = train(leader, os.path.join(work, "leader"), steps)
agrees = True
for first in range(0, steps, every):
    run = os.path.join(work, f"follower-{first}")
    found = train(follower, run, every) if first == 0 else resume(follower, os.path.join(work, "leader"), run, first)
    agrees &= compare(whole, found, first, "the follower")
    if first // every % 4 == 0 and first + every < steps:
        back = resume(leader, run, os.path.join(work, "back"), first + every)
        agrees &= compare(whole, back, first + every, "the leader again, from the follower's checkpoint")
if not agrees:
    sys.exit(f"losses differ by more than {tolerance}")
