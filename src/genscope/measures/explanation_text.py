"""What can be counted about an explanation: how much it restates, whether it gives the options away, whether it is a rule, how far two of them agree.

Proxies only: novelty for generality (low = restates the sentence), option_leak for a rule that is none. Source: our definitions after Saha et al. 2022.
"""

from __future__ import annotations

import re
from collections import Counter

STRUCTURE = frozenset({"x", "y", "if", "then"})
"""Words of the form of a rule, which say nothing of its content."""
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def tokens(text: str) -> list[str]:
    """Lower-case words, with an apostrophe inside.

    >>> tokens("If X doesn't run, Y wins 2:1.")
    ['if', 'x', "doesn't", 'run', 'y', 'wins']
    """
    return _WORD.findall(text.lower())


def novelty(explanation: str, sentence: str) -> float:
    """Share of the explanation's words (without x, y, if, then) that do not occur in the sentence; nan when no word is left.

    >>> novelty("If X runs fast, then X wins", "The dog runs because _ is fast.")
    0.3333333333333333
    """
    own, known = [one for one in tokens(explanation) if one not in STRUCTURE], set(tokens(sentence))
    return sum(one not in known for one in own) / len(own) if own else float("nan")


def option_leak(explanation: str, options: tuple[str, str]) -> bool:
    """Whether an option stands in the explanation as a whole word, in any case: then it is no general rule.

    >>> option_leak("If Anna runs", ("Ann", "Bob")), option_leak("If ANN runs", ("Ann", "Bob"))
    (False, True)
    """
    return any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", explanation, re.IGNORECASE) for one in options if one)


def is_rule(explanation: str) -> bool:
    """Whether it starts with "If"."""
    return explanation.startswith("If")


def uses(explanation: str, placeholder: str) -> bool:
    """Whether the placeholder ("X" or "Y") stands as a whole word, case-sensitive; possessives count.

    >>> uses("If X's dog barks", "X"), uses("If the x-ray is clear", "X")
    (True, False)
    """
    return re.search(rf"\b{re.escape(placeholder)}\b", explanation) is not None


def instantiate(rule: str, x: str, y: str) -> str:
    """The rule with its placeholders X and Y filled in, both at once (an option may itself hold an X).

    >>> instantiate("If X beats Y, Y's fans leave", "Ann", "Y2")
    "If Ann beats Y2, Y2's fans leave"
    """
    return re.sub(r"\b[XY]\b", lambda found: x if found.group() == "X" else y, rule)


def swapped(rule: str) -> str:
    """The rule with X and Y exchanged.

    >>> swapped("If X beats Y, X wins")
    'If Y beats X, Y wins'
    """
    return instantiate(rule, "Y", "X")


def agreement(a: str, b: str) -> float:
    """Unigram F1: twice the overlap of the two bags of words over the sum of their sizes, in [0, 1]; nan when both are empty.

    >>> agreement("if x runs x wins", "if x wins")
    0.75
    """
    first, second = Counter(tokens(a)), Counter(tokens(b))
    size = first.total() + second.total()
    return 2 * (first & second).total() / size if size else float("nan")
