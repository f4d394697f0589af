"""What compiled code computes, as equations: the loops that were found, read back with indices, forward and in reverse.

Nobody wrote these equations. `reading` makes those forward of the nest, `plain` puts them in order, and `sweep` goes
back through them: δ[j] = (1 - f[j]²) Σ_k w[j,k] δ[k]. Where a place is read through an index that cannot be solved for
(x[2 i]), its derivative is added up with += instead.

Each equation is one tree, of the kind that derivations are made of (`equations`); the text and the Python are two ways
to write it (`writers`).
"""

from .writers import Source, report

__all__ = ["Source", "report"]
