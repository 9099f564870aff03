"""Looks at what runs have measured.

  metrics.py same RUN RUN...        metrics and evaluations are equal, bit for bit, but for what a clock says
  metrics.py steps RUN LAST         steps 1 to LAST are there, each loss is a finite number
  metrics.py falls RUN BY           the loss of the last steps is lower than that of the first, by BY nats at least
"""
import json
import math
import os
import re
import sys

CLOCK = re.compile(r"(^|_)(seconds?|ms|time|timestamp|elapsed|eta)(_|$)")


def read(run, name):
    """{step: record}; every step is there once."""
    records = {}
    with open(os.path.join(run, name), encoding="utf-8") as file:
        for line in file:
            record = {key: value for key, value in json.loads(line).items() if not CLOCK.search(key)}
            if record["step"] in records:
                sys.exit(f"{run}/{name}: step {record['step']} is there twice")
            records[record["step"]] = record
    return records


def losses(run):
    steps = {step: record["loss"] for step, record in read(run, "metrics.jsonl").items()}
    if not steps or not all(math.isfinite(loss) for loss in steps.values()):
        sys.exit(f"{run}: no steps, or losses that are not finite: {steps}")
    return steps


def same(first, *others):
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        expected = read(first, name)
        for other in others:
            actual = read(other, name)
            for step in sorted(expected.keys() | actual.keys()):
                if expected.get(step) != actual.get(step):
                    sys.exit(f"{first}/{name}: {expected.get(step)}\n{other}/{name}: {actual.get(step)}")
        print(f"{name}: {len(expected)} records are the same in {1 + len(others)} runs")


def steps(run, last):
    found = losses(run)
    if sorted(found) != list(range(1, int(last) + 1)):
        sys.exit(f"{run}: steps are not 1 to {last}: {sorted(found)}")


def falls(run, by):
    found = [loss for _, loss in sorted(losses(run).items())]
    count = max(1, len(found) // 10)
    first, last = sum(found[:count]) / count, sum(found[-count:]) / count
    print(f"loss of the first {count} steps {first:.3f}, of the last {last:.3f}")
    if not last < first - float(by):
        sys.exit(f"the loss did not fall by {by}")


if __name__ == "__main__":
    {"same": same, "steps": steps, "falls": falls}[sys.argv[1]](*sys.argv[2:])
