"""Audit section inductive_bias: its numbers are the measure's, and data that allow none are said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genscope.core.errors import DataError, UsageError
from genscope.core.seeds import Seed
from genscope.measures.inductive_bias import inductive_bias_complexity
from genscope.measures.intrinsic_dimension import intrinsic_dimension
from genscope.tasks.digits import digits
from genscope.verbs.audit import audit


def run(tmp_path: Path, x: Any, y: Any, **settings: Any) -> dict[str, Any]:
    np.savez(tmp_path / "data.npz", x=x, y=y)
    held = audit(tmp_path / "data.npz", out=tmp_path / "out", **settings).plain()
    section = held["sections"]["inductive_bias"]
    values = {one["metric"]: one["value"] for one in held["records"] if one["source"] == "audit/inductive_bias"}
    return {"section": section, "values": values, "findings": [one for one in held["findings"] if one["section"] == "inductive_bias"], "page": held["page"]}  # fmt: skip


def test_the_digits(tmp_path: Path) -> None:
    x, y = digits()
    found = run(tmp_path, x, y)
    m = intrinsic_dimension(x).value
    assert found["values"]["intrinsic_dimension"] == pytest.approx(8.109948, abs=1e-5)
    assert found["values"]["class_margin"] == pytest.approx(1.179248, abs=1e-6)
    bits = inductive_bias_complexity(1_797, m, 10, 0.01, radius=4.806002, delta=1.179248)
    assert found["values"]["bits_log10"] == pytest.approx(bits.log10_bits, abs=1e-4)
    (finding,) = found["findings"]
    assert "10^10.56 bits" in finding["what"]
    assert set(finding["examples"][0]["rows"]) == {242, 1714} if "rows" in finding["examples"][0] else finding["examples"]
    rows = {row["change"]: row["bits"] for row in found["section"]["tables"][0]["rows"]}
    halved = inductive_bias_complexity(1_797, m, 10, 0.01, radius=4.806002, delta=1.179248 / 2)
    assert rows["class margin halved"] == f"10^{halved.log10_bits:.2f}"
    assert "dimension 8.1" in Path(found["page"]).read_text()


def test_label_noise_nan_and_a_sample_are_noted(tmp_path: Path) -> None:
    x, y = digits()
    x, y = x[:400].copy(), y[:400].copy()
    x[1], y[1] = x[0], (y[0] + 1) % 10
    x[2, 3] = np.nan
    found = run(tmp_path, x, y, with_=["inductive_bias:rows=399"], without=["duplicates"])
    notes = " ".join(found["section"]["notes"])
    assert "1 pairs of equal inputs have different labels" in notes
    assert "1 rows without a label or with values that are no finite numbers" in notes
    found = run(tmp_path, x, y, with_=["inductive_bias:rows=100"], without=["duplicates"])
    assert "on 100 of 399 rows" in " ".join(found["section"]["notes"])


def test_data_that_say_nothing(tmp_path: Path) -> None:
    x, y = digits()
    assert "0 usable rows" in run(tmp_path, x[:60] * np.nan, y[:60], without=["duplicates"])["section"]["answer"]
    assert "in 1 classes" in run(tmp_path, x[:60], np.zeros(60, int), without=["duplicates"])["section"]["answer"]
    assert "distinct" in " ".join(run(tmp_path, np.ones((60, 3)), y[:60], without=["duplicates"])["section"]["notes"])
    with pytest.raises(UsageError, match="eps must be a number"):
        run(tmp_path, x, y, with_=["inductive_bias:eps=1"])


def test_a_plain_task_needs_nothing_and_a_table_of_text_does_not_fit(tmp_path: Path) -> None:
    t = Seed("circle").rng().uniform(0, 6.2, 600)
    angles = np.stack([np.cos(t), np.sin(t)], 1)
    found = run(tmp_path, angles, (t > 3).astype(int), without=["duplicates"])
    assert found["values"]["intrinsic_dimension"] == pytest.approx(1, rel=0.1)
    table = pl.DataFrame({"a": [0.1 * k for k in range(80)], "b": [1.0] * 80, "label": [k % 2 for k in range(80)]})
    held = audit(table, label="label", out=tmp_path / "t").plain()
    assert "inductive_bias" in held["sections"]
    with pytest.raises(DataError, match="some input columns are text|reads"):
        audit(table.with_columns(c=pl.lit("word")), label="label", with_=["inductive_bias"], out=tmp_path / "u")
