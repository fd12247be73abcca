"""The front page of the site: the paper feed, with a search box and filters that work offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from genscope.pages.page import asset, environment, script_hash

if TYPE_CHECKING:
    from genscope.engine.study import Study

AXES = ("motivation", "type", "shift", "source", "locus")


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper in the feed. words: everything that search looks at, in lower case."""

    name: str
    title: str
    year: int
    question: str
    answer: str
    card: dict[str, str]
    badges: Sequence[tuple[str, str]]
    words: str

    @classmethod
    def of(cls, study: Study, badges: Sequence[tuple[str, str]]) -> Entry:
        """The entry of a study."""
        card = asdict(study.card)
        texts = [
            study.name,
            study.paper.title,
            study.paper.authors,
            study.question,
            study.answer,
            *sorted(study.fields),
            *card.values(),
            *(claim.sentence for claim in study.claims),
        ]
        return cls(study.name, study.paper.title, study.paper.year, study.question, study.answer, card, badges, " ".join(texts).lower())

    def counts(self) -> dict[str, int]:
        """Verdict -> number of claims."""
        return {verdict: sum(found == verdict for _, found in self.badges) for verdict in dict.fromkeys(found for _, found in self.badges)}


@dataclass(frozen=True, slots=True)
class RunLink:
    """A page of a local run."""

    title: str
    kind: str
    headline: str
    href: str


def render_index(entries: Sequence[Entry], runs: Sequence[RunLink]) -> str:
    """The front page."""
    code = asset("index.js")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {script_hash(code)}"
    options = {axis: sorted({entry.card[axis] for entry in entries}) for axis in AXES}
    verdicts = sorted({found for entry in entries for _, found in entry.badges})
    return environment().get_template("index.html.j2").render(
        entries=entries, runs=runs, options=options, verdicts=verdicts, policy=policy, style=asset("page.css"), code=code
    )  # fmt: skip
