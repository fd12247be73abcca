"""genscope, the generalization workbench: how far does a model go beyond its data, how hard is that, why, and what helps?

    import genscope as gs
    result = gs.profile("smollm2")
    result.headline

Names at the top are loaded when they are first used, so that `import genscope` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genscope import watch
    from genscope.core.claims import Claim, Clause, Precondition
    from genscope.core.seeds import Seed
    from genscope.core.store import Store
    from genscope.models.names import make as model
    from genscope.tasks import scylla
    from genscope.verbs.audit import audit
    from genscope.verbs.compare import compare
    from genscope.verbs.profile import profile
    from genscope.verbs.result_folder import Result
    from genscope.verbs.result_folder import read as read_result

__version__ = "0.1.0"

_NAMES = {
    "profile": "genscope.verbs.profile:profile",
    "audit": "genscope.verbs.audit:audit",
    "compare": "genscope.verbs.compare:compare",
    "read_result": "genscope.verbs.result_folder:read",
    "Result": "genscope.verbs.result_folder:Result",
    "model": "genscope.models.names:make",
    "scylla": "genscope.tasks.scylla",
    "watch": "genscope.watch",
    "Seed": "genscope.core.seeds:Seed",
    "Store": "genscope.core.store:Store",
    "Claim": "genscope.core.claims:Claim",
    "Clause": "genscope.core.claims:Clause",
    "Precondition": "genscope.core.claims:Precondition",
}

__all__ = [
    "Claim",
    "Clause",
    "Precondition",
    "Result",
    "Seed",
    "Store",
    "__version__",
    "audit",
    "compare",
    "model",
    "profile",
    "read_result",
    "scylla",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'genscope' has no attribute {name!r}")
    module, _, attribute = _NAMES[name].partition(":")
    loaded = importlib.import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
