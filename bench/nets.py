"""The two nets on which m-coherence is timed, and its plain backward pass; imports PyTorch alone, so that peers' environments can use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

EXAMPLES = 1_000
VOCABULARY, TOKENS, WIDTH, HEADS, LAYERS = 256, 64, 128, 4, 4


class Block(nn.Module):
    """Attention and MLP with the norms before them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width)."""
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        x = x + self.out(scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class Decoder(nn.Module):
    """A causal language model; loss of an example: the mean over its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, T, vocabulary)."""
        h = self.tokens(x) + self.places(torch.arange(x.shape[1]).expand_as(x))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def made(which: str) -> tuple[nn.Module, dict[str, Tensor], int]:
    """(net, data, examples a chunk) of "mlp" or "decoder"."""
    torch.manual_seed(0)
    if which == "mlp":
        net = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10))
        return net, {"x": torch.rand(EXAMPLES, 64), "y": torch.randint(0, 10, (EXAMPLES,))}, EXAMPLES
    x = torch.randint(0, VOCABULARY, (EXAMPLES, TOKENS))
    return Decoder(), {"x": x, "y": x.roll(-1, 1)}, 256


def losses(net: Callable[[Tensor], Tensor], batch: Mapping[str, Tensor]) -> Tensor:
    """The loss of every example."""
    logits = net(batch["x"])
    if logits.ndim == 2:
        return cross_entropy(logits, batch["y"], reduction="none")
    return cross_entropy(logits.flatten(0, 1), batch["y"].flatten(), reduction="none").view(batch["y"].shape).mean(1)


def chunks(data: dict[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    """The data in pieces."""
    return [{name: value[at : at + size] for name, value in data.items()} for at in range(0, EXAMPLES, size)]


def plain(net: nn.Module, data: dict[str, Tensor], size: int) -> float:
    """One plain backward pass over all examples; the squared norm of the summed gradient."""
    for p in net.parameters():
        p.grad = None
    for part in chunks(data, size):
        losses(net, part).sum().backward()
    return float(sum(p.grad.double().pow(2).sum() for p in net.parameters() if p.grad is not None))


def measured(which: str, method: Callable[[nn.Module, dict[str, Tensor], int], float]) -> dict[str, float]:
    """Memory (MB) that `method` takes at its first call above what is resident before it, its time over that of the plain pass (in turns), and its answer."""
    torch.set_num_threads(1)
    net, data, size = made(which)
    net.eval()
    peak()
    before = resident()
    answer = method(net, data, size)
    extra = peak() - before
    rounds = 15 if which == "mlp" else 3
    other, _, _ = made(which)
    plain(other, data, size)
    pairs = []
    for _ in range(rounds):
        began = time.process_time()
        plain(other, data, size)
        middle = time.process_time()
        method(net, data, size)
        pairs.append((middle - began, time.process_time() - middle))
    one, two = (sorted(pair[k] for pair in pairs)[rounds // 2] for k in (0, 1))
    return {"ratio": sorted(b / a for a, b in pairs)[rounds // 2], "plain": one, "seconds": two, "extra": extra, "answer": answer}


def resident() -> float:
    """Memory in use now, MB (Linux)."""
    return _status("VmRSS")


def peak() -> float:
    """Most memory in use since the last call of this, MB (Linux)."""
    found = _status("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")
    return found


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return float(line.split()[1]) / 1024
