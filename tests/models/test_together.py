# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes that learn together leave each meeting with the same weights, and stop together."""

import subprocess
import sys
from pathlib import Path

TRAIN = Path(__file__).parents[2] / "models" / "train"
WORKER = """
import torch
from together import Together
together = Together()
own = [torch.full((2, 3), float(together.rank)), torch.arange(4.0) * (1 + together.rank)]
stops = [together.meet(own, together.rank == 1 and i == 1) for i in range(2)]
print(together.rank, [t.flatten().tolist() for t in own], stops)
"""


def test_the_mean_of_two_processes(tmp_path):
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    workers = []
    for rank in "01":
        env = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
        workers.append(subprocess.Popen([sys.executable, "-c", WORKER], cwd=TRAIN, env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    told = [w.communicate(timeout=120) for w in workers]
    means = "[[0.5, 0.5, 0.5, 0.5, 0.5, 0.5], [0.0, 1.5, 3.0, 4.5]] [False, True]"
    assert [out.strip() for out, _ in told] == [f"0 {means}", f"1 {means}"], told


def test_one_process_keeps_what_it_has(monkeypatch):
    monkeypatch.syspath_prepend(str(TRAIN))
    import torch
    from together import Together

    own = torch.ones(3)
    together = Together()
    assert together.meet([own], True) and not together.meet([own], False) and own.sum() == 3
