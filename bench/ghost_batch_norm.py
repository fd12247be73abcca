"""Time of ghost batch norm beside ordinary batch norm at the same batch, forward and backward, in turns in one process; processor time of one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from genscope.core.seeds import Seed
from genscope.interventions.ghost_batch_norm import convert_ghost_batchnorm
from genscope.models.batch_norm_mlp import BatchNormMLP
from genscope.models.cifar_resnet import CifarResNet

LAYERS = (
    ("(512, 16, 32, 32), groups of 128: ResNet-44, first stage", nn.BatchNorm2d, (512, 16, 32, 32), 128),
    ("(512, 64, 8, 8), groups of 128: ResNet-44, last stage", nn.BatchNorm2d, (512, 64, 8, 8), 128),
)
SMALL = (
    ("(4096, 512), groups of 128: the paper's dense net", nn.BatchNorm1d, (4096, 512), 128),
    ("(1024, 256), groups of 64: the study's dense net", nn.BatchNorm1d, (1024, 256), 64),
)
NETS = (
    ("the study's net, batch 1,024, groups of 64", BatchNormMLP(inputs=40), (1024, 40), 64),
    ("ResNet-20, batch 256, groups of 64", CifarResNet(depth=20), (256, 3, 32, 32), 64),
)


def run(say: Callable[..., None], note: Callable[[str, str], None]) -> None:
    """Whole training steps and the convolutional layers are promised; of dense layers by themselves the ratio is shown."""
    torch.set_num_threads(1)
    for name, layer, shape, ghost in LAYERS:
        say(f"ghost batch norm, layer {name}", _ratio(layer(shape[1]), shape, ghost, None), "x", "<=", 1.3, "batch norm")
    for name, net, shape, ghost in NETS:
        say(f"ghost batch norm, step of {name}", _ratio(net.build(Seed("bench")), shape, ghost, 10), "x", "<=", 1.3, "batch norm")
    for name, layer, shape, ghost in SMALL:
        note(f"  dense layer by itself, {name}", f"{_ratio(layer(shape[1]), shape, ghost, None):.2f} x batch norm")


def _ratio(net: nn.Module, shape: tuple[int, ...], ghost: int, classes: int | None, rounds: int = 21) -> float:
    """Median over rounds of the time with ghost batches over that without, of the same net on the same rows."""
    x = torch.randn(shape, requires_grad=classes is None)
    y = None if classes is None else torch.randint(0, classes, (shape[0],))
    other = deepcopy(net)
    convert_ghost_batchnorm(other, ghost)
    _seconds(net, x, y), _seconds(other, x, y)
    pairs = [(_seconds(net, x, y), _seconds(other, x, y)) for _ in range(rounds)]
    return sorted(two / one for one, two in pairs)[rounds // 2]


def _seconds(net: nn.Module, x: Tensor, y: Tensor | None) -> float:
    net.zero_grad(set_to_none=True)
    x.grad = None
    began = time.process_time()
    out = net(x)
    (out.square().sum() if y is None else nn.functional.cross_entropy(out, y)).backward()
    return time.process_time() - began
