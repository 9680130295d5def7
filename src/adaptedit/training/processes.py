"""Training in several processes on one machine: how a worker joins the others and leaves them."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import torch
import torch.distributed as dist


def join(rank: int, processes: int, address: str) -> None:
    """Take one core and join the others at `address` (tcp://HOST:PORT or file://PATH)."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", address, rank=rank, world_size=processes)


def leave() -> NoReturn:
    """End this process with success, and without tearing its interpreter down: gloo's threads can still hold
    tensors, and to free those while Python shuts down aborts the process (pytorch/pytorch#179291)."""
    dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
