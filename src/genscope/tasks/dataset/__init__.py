"""Data sets of a user: text, tables, arrays, image folders and response matrices, read into one value whatever their file form.

data = read("reviews.jsonl", {"label": "stars"})
data.kind, data.rows, data.roles            # "text", 12000, {"text": "review", "label": "stars"}
for batch in data.batches(["review"]): ...  # polars frames with a column `row`, streamed
"""

from __future__ import annotations

from genscope.tasks.dataset.read import read
from genscope.tasks.dataset.value import Dataset, Fault, Kind

__all__ = ["Dataset", "Fault", "Kind", "read"]
