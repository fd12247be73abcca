"""A made-up GeniL folder: harmless sentences about trades, in the format of the nine files, in which context and attribute both tell the label."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

from genscope.core.seeds import Seed
from genscope.tasks.genil import GENIL, LANGUAGES

TRADES = ("Bakers", "Gardeners", "Tailors", "Painters", "Potters", "Millers", "Weavers", "Carpenters", "Masons", "Printers")
TRAITS = ("punctual", "cheerful", "patient", "quick", "careful", "quiet", "early", "tidy", "curious", "steady", "calm", "merry")
BROAD = ("All {i} are {a}.", "{i} are always {a}, as everybody knows.", "Typical {i}: every one of them is {a}.")
NARROW = (
    "The {a} morning was spent with two {i} at market stall {n}.", "A {a} reply came from the {i} in office {n}.",
    "Some {i} met at a {a} hour in hall {n}.", "Letter {n}: the {a} train brought the {i} home.",
)  # fmt: skip


def write(root: Path, rows: int = 200, seed: int = 0) -> Path:
    """The folder with nine files; about one row in six generalizes, more often with the first traits."""
    folder = root / GENIL
    folder.mkdir(parents=True, exist_ok=True)
    for place, language in enumerate(LANGUAGES):
        rng = Seed("made-up", seed, language).rng()
        lines = []
        for n in range(rows):
            trade, trait = int(rng.integers(len(TRADES))), int(rng.integers(len(TRAITS)))
            broad = bool(rng.random() < (0.45 if trait < 3 + place % 3 else 0.06))
            told = rng.random() < 0.9
            pool = BROAD if broad == told else NARROW
            sentence = pool[int(rng.integers(len(pool)))].format(i=TRADES[trade], a=TRAITS[trait], n=n) + f" ({language} {n})"
            promoting = "" if not broad and rng.random() < 0.1 else str(int(broad and rng.random() < 0.3 + 0.05 * place))
            if language == "en" and promoting:
                promoting = f"{promoting}.0"
            lines.append((sentence, str(int(broad)), promoting, TRADES[trade], TRAITS[trait]))
        put(folder / f"{language}.csv.gz", lines)
    return folder


def put(path: Path, lines: list[tuple[str, str, str, str, str]]) -> None:
    """One file in the release's format."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("sentence", "generalizing", "promoting", "identity", "attribute"))
    writer.writerows(lines)
    path.write_bytes(gzip.compress(text.getvalue().encode()) if path.suffix == ".gz" else text.getvalue().encode())
