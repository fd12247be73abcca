"""Chess puzzles graded by their first move, in algebraic (Nf3) or coordinate notation (g1f3)."""

from __future__ import annotations

import re

from genscope.core.card import Card
from genscope.core.example import Example
from genscope.core.text import clean
from genscope.tasks.task import Score, Task

_MOVE = re.compile(
    r"(?<![A-Za-z0-9])(?:O-O-O|O-O|0-0-0|0-0|[KQRBN]?[a-h]?[1-8]?x?[a-h][1-8](?:=?[QRBN])?|[a-h][1-8][a-h][1-8][qrbn]?)[+#]?(?![A-Za-z0-9])"
)
_ANSWER_IS = re.compile(r"answer(?:\s{1,8}is\s{0,8}:?|\s{0,8}:)", re.IGNORECASE)


class ChessMove(Task):
    """The best move in a position. target: [move in algebraic notation, in coordinates]."""

    version = 1
    level = None
    scorer: str = "move"
    card = Card(motivation="practical", type="robustness", shift="assumed", source="naturally occurring", locus="pretrain-test")

    def __init__(self, name: str) -> None:
        self.name = self.title = name

    def prompt(self, example: Example) -> str:
        """The position, and the game so far where it is known."""
        game = f"The game so far:\n{example.input['pgn']}\n\n" if example.input.get("pgn") else ""
        return f"{game}Position (FEN): {example.input['fen']}\nWhat is the best move?"

    def answer_rule(self) -> str:
        """The answer format that is asked for."""
        return 'End your reply with "The answer is <MOVE>", the move in algebraic notation such as Nf3.'

    def score(self, example: Example, reply: str) -> Score:
        """The first move after the last "answer is" (strict), else the first move of the reply (fallback)."""
        text = clean(reply)
        marks = list(_ANSWER_IS.finditer(text))
        wanted = {_plain(move) for move in example.target}
        if marks and (found := _MOVE.search(text, marks[-1].end())):
            return Score(correct=_plain(found[0]) in wanted, parsed=True, how="strict", value=found[0])
        if found := _MOVE.search(text):
            return Score(correct=_plain(found[0]) in wanted, parsed=True, how="fallback", value=found[0])
        return Score(correct=False, parsed=False, how="none")

    def chance(self, example: Example) -> float:
        """0: the number of legal moves is not known here (about 1/35 in a middle game)."""
        return 0.0


def _plain(move: str) -> str:
    """Without check marks, captures and promotion signs.

    >>> _plain("Nxf3+"), _plain("0-0")
    ('Nf3', 'O-O')
    """
    return move.replace("0", "O").rstrip("+#!?").replace("x", "").replace("=", "")
