"""The known answers in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import genscope


def test_doctests() -> None:
    tried = failed = 0
    for module in pkgutil.walk_packages(genscope.__path__, "genscope."):
        if module.name.endswith("__main__") or ".bridges." in module.name:
            continue
        found = doctest.testmod(importlib.import_module(module.name))
        tried, failed = tried + found.attempted, failed + found.failed
    assert failed == 0
    assert tried > 40
