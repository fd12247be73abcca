"""Published generalization scores of 28 language models: S per complexity level, and the critical level.

Facts transcribed from Qi et al. 2025, "Quantifying Generalization Complexity for Large Language Models" (arXiv 2410.01769 v2), Table 2, and the mean ID and OOD
accuracies of the Qwen1.5 family from Figure 5. Measured with chain of thought, 256 + 256 instances a task, the authors' universe.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A published row: model, family, size in billions of parameters (None if undisclosed), S at levels 0 to 4, and the critical level."""

    model: str
    family: str
    size_b: float | None
    scores: tuple[float, float, float, float, float]
    critical: int


GENERALIZATION_SCORES = (
    Published("Qwen1.5-1.8B", "Qwen1.5", 1.8, (0.547, 0.226, 0.042, -0.009, 0.018), 0),
    Published("Qwen1.5-4B", "Qwen1.5", 4.0, (0.631, 0.173, 0.094, 0.061, 0.007), 0),
    Published("Qwen1.5-7B", "Qwen1.5", 7.0, (0.887, 0.268, 0.152, 0.063, 0.056), 1),
    Published("Qwen1.5-14B", "Qwen1.5", 14.0, (0.849, 0.568, 0.075, 0.025, 0.037), 1),
    Published("Qwen1.5-32B", "Qwen1.5", 32.0, (0.969, 0.521, 0.137, 0.102, 0.045), 1),
    Published("Qwen1.5-72B", "Qwen1.5", 72.0, (0.911, 0.825, 0.115, -0.027, 0.01), 3),
    Published("Qwen1.5-110B", "Qwen1.5", 110.0, (0.965, 0.95, 0.129, 0.044, 0.01), 3),
    Published("Qwen2-7B", "Qwen2", 7.0, (0.986, 0.824, 0.065, 0.081, 0.019), 2),
    Published("Qwen2.5-3B", "Qwen2.5", 3.0, (0.934, 0.81, 0.251, 0.181, 0.079), 2),
    Published("Qwen2.5-7B", "Qwen2.5", 7.0, (0.617, 0.632, 0.514, 0.122, 0.136), 3),
    Published("Qwen2.5-Math-7B", "Qwen2.5", 7.0, (0.971, 0.874, 0.591, 0.135, 0.044), 3),
    Published("Qwen2.5-Coder-7B", "Qwen2.5", 7.0, (0.969, 0.832, 0.205, -0.021, 0.054), 3),
    Published("Llama-2-7b", "Llama-2", 7.0, (0.699, 0.295, 0.001, 0.042, -0.051), 1),
    Published("Llama-3-8B", "Llama-3", 8.0, (0.801, 0.392, 0.214, -0.005, 0.044), 1),
    Published("Llama-3-70B", "Llama-3", 70.0, (0.9, 0.882, -0.109, -0.218, -0.05), 3),
    Published("Llama-3.1-8B", "Llama-3.1", 8.0, (0.667, 0.603, 0.047, 0.025, -0.003), 1),
    Published("Llama-3.1-70B", "Llama-3.1", 70.0, (0.982, 0.89, -0.087, -0.233, -0.015), 2),
    Published("Llama-3.1-405B", "Llama-3.1", 405.0, (0.997, 0.996, 0.847, 0.516, 0.262), 3),
    Published("Llama-3.2-3B", "Llama-3.2", 3.0, (0.827, 0.247, -0.127, -0.079, 0.051), 1),
    Published("Gemma-2-2b", "Gemma-2", 2.0, (0.788, 0.469, -0.094, 0.021, 0.05), 2),
    Published("Gemma-2-9b", "Gemma-2", 9.0, (0.948, 0.601, -0.124, -0.026, -0.065), 2),
    Published("Gemma-2-27b", "Gemma-2", 27.0, (0.99, 0.869, -0.1, -0.164, 0.022), 3),
    Published("Mistral-7B-v0.3", "Mistral", 7.0, (0.949, 0.558, -0.029, 0.078, 0.012), 2),
    Published("Claude-3-haiku", "Claude-3", None, (0.984, 0.844, 0.019, 0, -0.021), 2),
    Published("Claude-3-sonnet", "Claude-3", None, (0.997, 0.804, 0.159, -0.056, 0.07), 3),
    Published("GPT-4o", "GPT-4o", None, (0.997, 0.992, 0.787, 0.457, 0.238), 3),
    Published("GPT-4o-mini", "GPT-4o", None, (0.974, 0.989, 0.768, 0.517, -0.008), 4),
    Published("o1-mini", "o1", None, (1, 0.998, 0.979, 0.949, 0.68), 4),
)
"""Table 2."""

QWEN15_ACCURACY: dict[str, tuple[tuple[float, float], ...]] = {
    "Qwen1.5-1.8B": ((0.78, 0.66), (0.45, 0.34), (0.05, 0.05), (0.03, 0.01), (0.05, 0.03)),
    "Qwen1.5-4B": ((0.8, 0.72), (0.32, 0.26), (0.11, 0.12), (0.06, 0.07), (0.05, 0.03)),
    "Qwen1.5-7B": ((0.91, 0.91), (0.53, 0.41), (0.13, 0.16), (0.1, 0.09), (0.09, 0.07)),
    "Qwen1.5-14B": ((0.95, 0.9), (0.75, 0.67), (0.19, 0.13), (0.06, 0.04), (0.05, 0.05)),
    "Qwen1.5-32B": ((0.99, 0.98), (0.83, 0.67), (0.3, 0.22), (0.21, 0.16), (0.07, 0.06)),
    "Qwen1.5-72B": ((0.95, 0.93), (0.95, 0.89), (0.26, 0.19), (0.22, 0.09), (0.06, 0.03)),
    "Qwen1.5-110B": ((0.99, 0.98), (0.96, 0.96), (0.36, 0.25), (0.36, 0.21), (0.18, 0.1)),
}
"""Figure 5: (mean ID, mean OOD) accuracy at levels 0 to 4, means over a level's tasks."""
