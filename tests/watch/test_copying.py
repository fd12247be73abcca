"""Copying during a run: a planted head that copies, one that does not, and models that cannot be asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from genscope.core.errors import UsageError
from genscope.core.seeds import Seed
from genscope.models.small_lm import SmallLM
from genscope.watch.measures.copying import Copying
from genscope.watch.monitor import Monitor
from genscope.watch.record import read
from tests.repeated.test_models import Induction


@pytest.mark.parametrize(("distance", "copying", "prefix"), [(7, 1.0, 1.0), (8, 0.0, 0.0)])
def test_a_planted_head_copies_or_does_not(tmp_path: Path, distance: int, copying: float, prefix: float) -> None:
    net: Any = Induction(distance)
    net.config = SimpleNamespace(vocab_size=60)
    with Monitor(tmp_path, net, measures=[Copying(block=7, leave_out=1)], every=1) as monitor:
        monitor.step()
    values = read(tmp_path).looks[-1].values
    assert values["copying"] == pytest.approx(copying, abs=0.1)
    assert values["prefix_matching"] == pytest.approx(prefix, abs=0.1)
    assert read(tmp_path).series("prefix_chance")[1][0] < 0.2


def test_a_model_of_transformers_is_asked_by_name_and_others_are_refused(tmp_path: Path) -> None:
    net = SmallLM(vocabulary=80, width=16, heads=2, table=128).build(Seed("c"))
    with Monitor(tmp_path / "a", net, measures=["copying"], every=1) as monitor:
        monitor.step()
    assert read(tmp_path / "a").series("copying")[1][0] < 0.2
    with pytest.raises(UsageError, match="causal language model"):
        Monitor(tmp_path / "b", nn.Linear(2, 2), measures=["copying"])
    small = SmallLM(vocabulary=80, width=16, heads=2, table=32).build(Seed("c"))
    with pytest.raises(UsageError, match=r"Copying\(block=7\)"):
        Monitor(tmp_path / "c", small, measures=["copying"])
