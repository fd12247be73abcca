"""Looking at a net without a trace: modes, buffers, gradients and every random state are afterwards what they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def undisturbed(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, without autocast; afterwards modes, buffers, `.grad` fields, and the random states of Python, NumPy and PyTorch (all devices) are restored."""
    modes = {module: module.training for module in net.modules()}
    buffers = {name: one.detach().clone() for name, one in net.named_buffers()}
    slopes = {name: (one.grad, None if one.grad is None else one.grad._version) for name, one in net.named_parameters()}
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    kind = next((one.device.type for one in net.parameters()), "cpu")
    try:
        with torch.random.fork_rng(devices=devices), torch.autocast(kind, enabled=False), torch.enable_grad():
            for module in modes:
                module.training = False
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for name, one in net.named_buffers():
            if name in buffers and not torch.equal(one, buffers[name]):
                one.data.copy_(buffers[name])
        for name, one in net.named_parameters():
            if one.grad is not slopes[name][0]:
                one.grad = slopes[name][0]
        random.setstate(python)
        np.random.set_state(numpy)


def bare(net: nn.Module) -> nn.Module:
    """The net below the wrappers of torch.compile, DataParallel and DistributedDataParallel: the same parameters, with module hooks that fire."""
    while True:
        inner = getattr(net, "_orig_mod", None)
        if inner is None and type(net).__name__ in ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"):
            inner = getattr(net, "module", None)
        if not isinstance(inner, nn.Module):
            return net
        net = inner
