"""A sweep that is killed: at each of its steps in turn, or while it holds the lock.

    python -m tests.sweeps.interrupted each DIRECTORY SUFFIX [overwrite]
    python -m tests.sweeps.interrupted hold OUTPUT

`each` makes DIRECTORY/NUMBER/out.SUFFIX for each step, kills the sweep there with signal 9, and
resumes it; DIRECTORY/NUMBER/log tells what happened. It forks, for starting Python takes longer
than all the rest.
"""

import importlib
import os
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path

import numpy as np

from symcost.numeric.boxes import Box
from symcost.sweeps.block import Block
from symcost.sweeps.files.store import Column, Coordinate, Description, open_store

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect", "chunk")


def description(columns=("flops",), length=4, identity="one"):
    """Two times `length` points in chunks of three, and a shorter last one in each row."""
    axes = (
        (Coordinate("batch", np.array([1, 2]), "Sequences.", "1"),),
        (Coordinate("context_len", np.arange(length), "Tokens.", "token"),),
    )
    boxes = tuple(
        Box((row, begin), (row + 1, min(begin + 3, length)), row * length + begin)
        for row in range(2)
        for begin in range(0, length, 3)
    )
    made = tuple(Column(name, np.dtype(np.int64), "Work.", "FLOP") for name in columns)
    return Description(axes, made, boxes, False, {"model": identity})


def block(what, index):
    """A chunk of it: values near the end of int64 that follow from the flat index."""
    box = what.boxes[index]
    flat = np.arange(box.first, box.first + box.size)
    values = {column.name: 2**63 - 1 - flat for column in what.columns}
    return Block(box, None, values)


def write(path, what, log=None, **how):
    """Write what is not there, and log each chunk that is."""
    with open_store(path, what, **how) as store:
        told(log, "finished", sorted(store.finished))
        for index in range(len(what.boxes)):
            if index not in store.finished:
                sys.audit("chunk")
                store.write(index, block(what, index))
                told(log, "wrote", index)


def told(log, *words):
    if log:
        with log.open("a") as file:
            print(*words, file=file)


def killed_at(step, folder, job):
    """Run a job in a process that is killed before its step of that number; whether it was."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"{folder} ended with {status}")
        return status == signal.SIGKILL
    left = [step]

    def hook(event, given):
        inside = event == "chunk" or (given and f"{folder}/" in str(given[0]) + "/")
        if event in STEPS and inside and "log" not in str(given[:1]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        job()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def each(directory, suffix, overwrite):
    if suffix == "parquet":
        importlib.import_module("pyarrow.parquet")
        importlib.import_module("pyarrow").array(np.arange(1))  # imports pandas
    else:
        importlib.import_module("zarr")
    step, killed = 0, True
    while killed:
        step += 1
        folder = directory / str(step)
        folder.mkdir()
        path = folder / f"out.{suffix}"
        old = partial(write, path, description(identity="old"))
        new = partial(write, path, description(), folder / "log")
        if overwrite:
            killed_at(0, folder, old)
        killed = killed_at(step, folder, partial(new, overwrite=overwrite))
        if path.exists() and '"old"' in (path / "_symcost.json").read_text():
            killed_at(0, folder, partial(old, log=folder / "old", resume=True))
            killed_at(0, folder, partial(new, overwrite=True))
        else:
            killed_at(0, folder, partial(new, resume=True))


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        with open_store(Path(sys.argv[2]), description()) as store:
            store.write(0, block(description(), 0))
            sys.stdout.write("held\n")
            sys.stdout.flush()
            time.sleep(60)
    else:
        each(Path(sys.argv[2]), sys.argv[3], "overwrite" in sys.argv)
