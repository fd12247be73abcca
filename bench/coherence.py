"""m-coherence against a plain backward pass and against the peers that give per-example gradients or their norms.

Every method runs in a process of its own (`python bench/coherence.py METHOD NET`, the peers' in their environment) and is timed in turns with the plain
backward pass there; what is compared across processes are these ratios. Times are processor time of one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = ("vmap", "opacus", "opacus norms", "backpack")
NETS = {"mlp": "MLP 64-512-10", "decoder": "decoder, 4 layers, width 128, 64 tokens"}
REQUIREMENTS = (
    ("--no-deps", "torch==2.13.0"),
    ("numpy", "scipy", "filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec", "opt_einsum", "einops"),
    # their own requirements (torchvision) would drag PyTorch to another build
    ("--no-deps", "opacus==1.6.0", "backpack-for-pytorch==1.7.1", "unfoldNd"),
)


def run(peers: Callable[[Sequence[Sequence[str]]], str], say: Callable[..., None], note: Callable[[str, str], None]) -> None:
    """Print the figures. peers: makes the peers' environment with these requirements and gives its interpreter."""
    there = peers(REQUIREMENTS)
    for net, title in NETS.items():
        ours, plainly = (_needed(_one(sys.executable, name, net)) for name in ("genscope", "plain"))
        say(f"m-coherence over one plain backward pass, {title}", ours["ratio"], "", "<=", 1.3)
        note("  plain backward pass over 1,000 examples", f"{1_000 * ours['plain']:,.0f} ms")
        found = {name: _one(there, name, net) for name in PEERS}
        for name, one in found.items():
            if "error" in one:
                note(f"  {name}", f"cannot: {one['error']}")
                continue
            close = abs(one["answer"] / ours["answer"] - 1) < 1e-3
            note(f"  {name} over one plain backward pass", f"{one['ratio']:.2f}{'' if close else ', ANOTHER ANSWER'}")
        vmapped = _needed(found["vmap"])
        fastest = min((one["ratio"], name) for name, one in found.items() if "ratio" in one)
        say("  time over that of the fastest peer", ours["ratio"] / fastest[0], "", "<=", 1, fastest[1])
        mine, theirs = (max(0.0, one["extra"] - plainly["extra"]) for one in (ours, vmapped))
        say("  memory above the plain pass, over vmap's", mine / theirs, "", "<=", 0.25, f"{mine:.0f} and {theirs:.0f} MB")
    found = _needed(_one(sys.executable, "smollm2", "-"))
    say("m-coherence of SmolLM2, 64 sequences of 128 tokens, above the model", found["extra"] / 1024, " GiB", "<=", 4)
    note("  time", f"{found['seconds']:.0f} s")


def _needed(found: dict[str, Any]) -> dict[str, Any]:
    if "error" in found:
        raise SystemExit(f"bench: {found['error']}")
    return found


def _one(interpreter: str, method: str, net: str) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([interpreter, __file__, method, net], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:160]}
    return json.loads(done.stdout.strip().splitlines()[-1])


# --- the methods; each gives m-coherence


def genscope(net: Any, data: Any, size: int) -> float:
    """Ours, by ghost norms."""
    import nets
    from genscope.measures.coherence import coherence

    return coherence(net, nets.losses, data, chunk=size).m_coherence


def plain(net: Any, data: Any, size: int) -> float:
    """No coherence at all: what the others are compared with."""
    import nets

    return nets.plain(net, data, size)


def vmap(net: Any, data: Any, size: int) -> float:
    """torch.func: per-example gradients of a chunk at once."""
    from torch.func import functional_call, grad
    from torch.func import vmap as over

    import nets

    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(own: Any, one: Any) -> Any:
        return nets.losses(lambda x: functional_call(net, own, (x,)), {name: value.unsqueeze(0) for name, value in one.items()}).sum()

    squares, total = 0.0, dict.fromkeys(weights, 0.0)
    for part in nets.chunks(data, size):
        for name, g in over(grad(loss), in_dims=(None, 0))(weights, part).items():
            squares += float(g.pow(2).sum())
            total[name] = total[name] + g.sum(0)
    return sum(float(g.pow(2).sum()) for g in total.values()) / squares  # pyright: ignore[reportAttributeAccessIssue]


def opacus(net: Any, data: Any, size: int) -> float:
    """Opacus, per-example gradients by hooks."""
    from opacus.grad_sample import GradSampleModule  # pyright: ignore[reportMissingImports]

    import nets

    wrapped = _once(net, lambda: GradSampleModule(net, loss_reduction="sum")).train()  # its hooks sleep in evaluation mode
    squares, total = 0.0, [0.0] * len(list(net.parameters()))
    for part in nets.chunks(data, size):
        wrapped.zero_grad(set_to_none=True)
        nets.losses(wrapped, part).sum().backward()
        for k, p in enumerate(net.parameters()):
            squares += float(p.grad_sample.pow(2).sum())
            total[k] = total[k] + p.grad
            p.grad_sample = None
    return sum(float(g.pow(2).sum()) for g in total) / squares  # pyright: ignore[reportAttributeAccessIssue]


def opacus_norms(net: Any, data: Any, size: int) -> float:
    """Opacus, ghost norms (fast gradient clipping)."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping  # pyright: ignore[reportMissingImports]

    import nets

    wrapped = _once(
        net, lambda: GradSampleModuleFastGradientClipping(net, loss_reduction="sum", max_grad_norm=1.0, use_ghost_clipping=True)
    ).train()
    squares, total = 0.0, [0.0] * len(list(net.parameters()))
    for part in nets.chunks(data, size):
        wrapped.zero_grad(set_to_none=True)
        nets.losses(wrapped, part).sum().backward()
        squares += float(wrapped.get_norm_sample().pow(2).sum())
        for k, p in enumerate(net.parameters()):
            total[k] = total[k] + p.grad
    return sum(float(g.pow(2).sum()) for g in total) / squares  # pyright: ignore[reportAttributeAccessIssue]


def backpack(net: Any, data: Any, size: int) -> float:
    """BackPACK, BatchL2Grad."""
    from types import ModuleType

    sys.modules.setdefault("torchvision", ModuleType("torchvision"))  # it is asked for by examples of theirs only
    from backpack import backpack as watched  # pyright: ignore[reportMissingImports]
    from backpack import extend  # pyright: ignore[reportMissingImports]
    from backpack.extensions import BatchL2Grad  # pyright: ignore[reportMissingImports]
    from torch import nn

    import nets

    if data["y"].ndim > 1:
        raise SystemExit("no LayerNorm, no attention: the layer list of BackPACK has neither")
    extended, loss = _once(net, lambda: (extend(net), extend(nn.CrossEntropyLoss(reduction="sum"))))
    squares, total = 0.0, [0.0] * len(list(net.parameters()))
    for part in nets.chunks(data, size):
        net.zero_grad(set_to_none=True)
        with watched(BatchL2Grad()):
            loss(extended(part["x"]), part["y"]).backward()
        for k, p in enumerate(net.parameters()):
            squares += float(p.batch_l2.sum())
            total[k] = total[k] + p.grad
    return sum(float(g.pow(2).sum()) for g in total) / squares  # pyright: ignore[reportAttributeAccessIssue]


_made: dict[int, Any] = {}


def _once(net: Any, make: Callable[[], Any]) -> Any:
    if id(net) not in _made:
        _made[id(net)] = make()
    return _made[id(net)]


def _smollm2() -> dict[str, float]:
    import time

    import torch
    from torch.nn.functional import cross_entropy

    import nets
    from genscope.measures.coherence import coherence
    from genscope.models import names

    torch.set_num_threads(1)
    net, _ = names.make("smollm2").inside("float32")
    tokens = torch.randint(0, 40_000, (64, 128), generator=torch.Generator().manual_seed(0))

    def losses(module: Any, batch: Any) -> Any:
        logits = module(input_ids=batch["tokens"]).logits[:, :-1]
        return cross_entropy(logits.transpose(1, 2), batch["tokens"][:, 1:], reduction="none").mean(1)

    nets.peak()
    before, began = nets.resident(), time.process_time()
    found = coherence(net, losses, {"tokens": tokens}, per_example=True, chunk=2)
    return {"extra": nets.peak() - before, "seconds": time.process_time() - began, "answer": found.m_coherence}


METHODS = {"genscope": genscope, "plain": plain, "vmap": vmap, "opacus": opacus, "opacus norms": opacus_norms, "backpack": backpack}

if __name__ == "__main__":
    import nets

    chosen, net = sys.argv[1:]
    sys.stdout.write(json.dumps(_smollm2() if chosen == "smollm2" else nets.measured(net, METHODS[chosen])) + "\n")
