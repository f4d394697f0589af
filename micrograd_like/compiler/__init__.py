"""Native code from the graph: a function is traced, its loops are found again, and LLVM compiles them both ways.

`trace` records what a function computes; `loops` folds that; `nest` decides what is stored; `writing` writes the code,
forward and backward, with `lowering`, which has the table's values in LLVM's language; `kernel` makes it run;
`compiled` is `compile`, for users. `reading`, `plain` and `sweep` make equations of the nest, which `source` writes.
"""

from .compiled import Compiled, compile
from .trace import TraceError

__all__ = ["Compiled", "TraceError", "compile"]
