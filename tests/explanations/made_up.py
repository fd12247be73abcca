"""Explained sentences of the released form, made up."""

from __future__ import annotations

from pathlib import Path

NAMES = ("Ann", "Bob", "Cid", "Dot", "Eve", "Fay")
TRAITS = ("tall", "rich", "loud", "calm", "fast", "kind", "wise", "cold", "bold", "poor", "weak", "keen")


def row(place: int, hardness: str, view: str = "agree") -> str:
    """One line without its newline."""
    a, b = NAMES[place % 6], NAMES[(place + 1) % 6]
    trait = TRAITS[place % 12]
    words = "others notice it" if hardness == "easy" else "the neighbours may eventually complain"
    return "\t".join([f"{a} envied {b} on day {place} because _ was {trait} {hardness}.", a, b, b, view, f"If X is {trait}, then Y sees that {words}"])  # fmt: skip


def folder(where: Path, test: int = 12, pool: int = 16) -> Path:
    """A folder of the study's data under `where`."""
    for hardness in ("easy", "hard"):
        inside = where / "17-explanation-hardness" / hardness
        inside.mkdir(parents=True)
        views = ["disagree" if hardness == "hard" and k % 3 == 0 else "agree" for k in range(test + pool)]
        rows = [row(k, hardness, views[k]) for k in range(test + pool)]
        (inside / f"test_{test}.tsv").write_text("\ufeff" + "\n".join(rows[:test]), "utf-8")
        (inside / f"pool_{pool}.tsv").write_text("\n".join(rows[test:]) + "\n", "utf-8")
        (inside / f"pool_{pool // 2}.tsv").write_text("\n".join(rows[test : test + pool // 2]) + "\n", "utf-8")
        rules = [f"If X is {TRAITS[k % 12]}, then Y envies X on day {k}" for k in range(test)]
        (inside / "gpt_generations.txt").write_text("\n".join(rules), "utf-8")
    return where
