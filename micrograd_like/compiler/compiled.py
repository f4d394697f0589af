"""`compile`: a function of Values as native code."""

import gc
import os
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_double, c_int64, c_void_p
from functools import cache
from itertools import pairwise
from math import inf
from operator import index
from time import perf_counter
from typing import Any

from ..engine import Value
from ..transforms import flatten
from .kernel import Kernel
from .lowering import lanes_for, llvm
from .source import Source, report
from .trace import ARGUMENT, PARAMETER, Program, Trace, Traced, shape, traced
from .training import DESCEND

PIECE = 500_000  # operations on single numbers that a thread is worth to be started for
PIECES = 16  # into which a batch is cut at most
ZERO = array("d", (0.0,))  # times n: room for n numbers, in the quickest way


def compile(  # noqa: A001  # the field's name
    f: Callable[..., Any],
    *,
    batched: int | Iterable[int] = (),
    reduce: str | None = "mean",
    strict: bool = False,
    threads: int | None = None,
) -> "Compiled":
    """The same function, as native code: of numbers, and lists, tuples, dicts and numpy arrays of them.

    f: as for `grad`; also what `grad`, `value_and_grad` and their kin return. It is called once for each shape of its
    arguments, to see what it computes; from then on the code runs, and Python does not. Values from outside that it
    uses, as the parameters of a model, are read each time.

    batched: the arguments that are samples, along their leading axis. f is of one sample; its results, and gradients
    by what is not batched, are their "mean" or "sum", as `reduce` says, or with None each sample has its own (no
    gradients then).
    strict: each operation as eager code does it, bit for bit; by default multiplications and additions are fused,
    sums may be taken in another order, and functions of vectors are up to 4 ulp from the true value.
    threads: how many may work on a large batch; as many as there are cores, unless said. The result is the same.

    It does not raise DomainError: what is not defined is nan. Raises TraceError, with the line, if the function asks
    for a number before it runs, as a branch `if x > 0` does; ImportError without the extra [jit].

    >>> from micrograd_like import value_and_grad
    >>> k = compile(value_and_grad(lambda w: (w[0] * w[1] - 1) ** 2))
    >>> k([3.0, 2.0])
    (25.0, [20.0, 30.0])
    """
    return Compiled(f, batched, reduce, strict=strict, threads=threads)


class Compiled:
    """What `compile` returns."""

    def __init__(self, f: Any, batched: Any, reduce: str | None, *, strict: bool, threads: int | None):
        llvm()
        if not callable(f):
            raise TypeError(f"what is compiled is a function, not {type(f).__name__} {f!r:.60}")
        if reduce not in ("mean", "sum", None):
            raise ValueError(f"reduce is 'mean', 'sum' or None, not {reduce!r}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads should be 1 or more, got {threads!r}")
        # grad(f) and value_and_grad(f) go backward through the code of f.
        self.result: str
        argnums: Any
        self.result, self.f, argnums = getattr(f, "derivative_of", ("value", f, 0))
        self.several = not hasattr(argnums, "__index__")
        self.argnums = [index(i) for i in (argnums if self.several else [argnums])]
        self.name = getattr(self.f, "__name__", type(self.f).__name__)
        self.batched = frozenset(index(i) for i in (batched if isinstance(batched, Iterable) else [batched]))
        self.reduce, self.strict, self.threads = reduce, strict, threads
        self._ready: dict[Any, Ready] = {}
        self._lock = threading.RLock()
        self._lasts: dict[str, Ready] = {}
        self._last: Ready | None = None

    def __call__(self, *args: Any) -> Any:
        """What f returns, in the same shape, of floats."""
        if self.result == "value":
            return self._run(args, "value")
        value, gradients = self._run(args, "gradient")
        return gradients if self.result == "grad" else (value, gradients)

    def value_and_grad(self, *args: Any) -> tuple[Any, Any]:
        """(f, its gradient by the first argument, in its shape). For others, compile `value_and_grad(f, argnums)`."""
        return self._run(args, "gradient")  # type: ignore[no-any-return]

    def backward(self, *args: Any) -> float:
        """f, one number; the derivative by each Value from outside, as a model's parameters, is added to its `grad`."""
        return self._run(args, "backward")  # type: ignore[no-any-return]

    def descend(self, x: Any, *args: Any, lr: float, steps: int = 1) -> float:
        """Steps of gradient descent, x -= lr ∂f/∂x, in place and in one call of native code. Returns f before the last.

        x: the first argument of f, not batched, a numpy array of float64. It is for loops that would be over sooner
        than Python comes from one step to the next; nothing looks at what the numbers become. Raises TypeError for
        another x, ValueError unless lr > 0 and steps >= 1.
        """
        if not 0.0 < lr < inf or steps < 1:
            raise ValueError(f"descend takes lr > 0 and steps >= 1, got lr={lr!r}, steps={steps!r}")
        if 0 in self.batched or self.argnums != [0]:
            raise ValueError(
                "descend changes the first argument, which is one of the samples here, or not differentiated"
            )
        ready, packed = self._packed((x, *args), "gradient")
        if packed[0].shape is None or not getattr(x, "ndim", 0) or not x.flags.writeable:
            raise TypeError(f"descend changes its first argument: a writable numpy array of float64, not {x!r:.60}")
        return ready.descend(packed, lr, steps)

    def _run(self, args: tuple[Any, ...], how: str) -> Any:
        ready, packed = self._packed(args, how)
        return ready(packed)

    def _packed(self, args: tuple[Any, ...], how: str) -> "tuple[Ready, Sequence[_Packed]]":
        ready = self._lasts.get(how)
        packed = ready.again(args) if ready is not None else None
        if ready is None or packed is None:
            packed = [_pack(x, i, batched=i in self.batched) for i, x in enumerate(args)]
            ready = self._prepared(packed, how)
        return ready, packed

    def _prepared(self, packed: "list[_Packed]", how: str) -> "Ready":
        key = how, *(p.key for p in packed)
        with self._lock:
            if key not in self._ready:
                # What is recorded is no garbage; the collector would look through all of it, again and again.
                collects = gc.isenabled()
                gc.disable()
                try:
                    self._ready[key] = Ready(self, packed, how)
                finally:
                    if collects:
                        gc.enable()
            self._lasts[how] = self._last = self._ready[key]
            return self._ready[key]

    def _shown(self) -> "Ready":
        if self._last is None:
            raise RuntimeError(f"{self.name} has not been called yet: what it computes is seen when it is called")
        return self._last

    @property
    def ir(self) -> str:
        """LLVM's code of what was called last."""
        return self._shown().kernel.ir

    @property
    def source(self) -> Source:
        """The equations of what was called last, its loops found again, forward and in reverse. Printed, they are text.

        >>> k = compile(lambda x: sum((a * b - 1) ** 2 for a, b in zip(x, x[1:])))
        >>> k.value_and_grad([1.0, 2.0, 3.0, 4.0, 5.0])
        (508.0, [4.0, 32.0, 108.0, 256.0, 152.0])
        >>> print(k.source)
        L = Σ_{i=1…4} (x[i] x[i+1] - 1)²
        <BLANKLINE>
        in reverse
        ∂L/∂x[1] = x[2] · 2 (x[1] x[2] - 1)
        ∂L/∂x[j] = 2 (x[j-1] (x[j-1] x[j] - 1) + x[j+1] (x[j] x[j+1] - 1))      (j = 2 … 4)
        ∂L/∂x[5] = x[4] · 2 (x[4] x[5] - 1)
        """
        return self._shown().source()

    def report(self) -> str:
        """How what was called last was compiled: operations, loops, lanes, memory, seconds."""
        return report(self._shown())

    def __repr__(self) -> str:
        return f"compile({self.name})"


_POOL = "micrograd_like"


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, _POOL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # where its threads are not


class _Packed:
    """An argument as a row of doubles. key: its shape, without that of the batch. count: of samples.

    shape: of an array or a float that has not been copied, so that the same one need not be looked at again.
    """

    __slots__ = ("address", "count", "keep", "key", "like", "shape")

    def __init__(self, key: Any, keep: Any, address: int, count: int, like: Any, shape: Any = None):
        self.key, self.keep, self.address, self.count, self.like, self.shape = key, keep, address, count, like, shape


def _pack(x: Any, place: int, *, batched: bool) -> _Packed:
    kind = type(x)
    data: Any
    if kind is float and not batched:
        data = array("d", (x,))
        return _Packed(float, data, data.buffer_info()[0], 1, x, ())
    if _is_array(x):
        import numpy

        if x.dtype.kind not in "biufO" or hasattr(x, "mask"):
            raise TypeError(f"argument {place} should have numbers, not {type(x).__name__} of {x.dtype}")
        if batched and not len(x):
            raise ValueError(f"argument {place} has no samples")
        as_is = type(x) is numpy.ndarray and x.dtype == float and x.flags.c_contiguous
        numbers = x if x.dtype.kind != "O" else _plain(flatten(x, f"argument {place}")[0], place)
        data = x if as_is else numpy.ascontiguousarray(numbers, float)
        own = x.shape[1:] if batched else x.shape
        address = data.__array_interface__["data"][0]
        return _Packed((numpy.ndarray, own), data, address, len(x), x, x.shape if as_is else None)
    where = f"argument {place}"
    if not batched:
        numbers, _ = flatten(x, where)
        data = array("d", _plain(numbers, place))
        return _Packed(shape(x), data, data.buffer_info()[0], 1, x)
    if not isinstance(x, Sequence) or isinstance(x, str):
        raise TypeError(f"{where} is batched: it should be a list or array of samples, not {kind.__name__} {x!r:.60}")
    if not len(x):
        raise ValueError(f"{where} has no samples")
    first = shape(x[0])
    data = array("d")
    for i, sample in enumerate(x):
        if shape(sample) != first:
            raise ValueError(f"{where}: sample {i} has another shape than sample 0")
        data.extend(_plain(flatten(sample, f"{where}[{i}]")[0], place))
    return _Packed(first, data, data.buffer_info()[0], len(x), x)


def _has_array(x: Any) -> bool:
    if isinstance(x, (list, tuple, dict)):
        return any(map(_has_array, x.values() if isinstance(x, dict) else x))
    return _is_array(x)


def _plain(numbers: list[Any], place: int) -> list[float]:
    """Floats. A Value would lose what it remembers without a word."""
    for x in numbers:
        if isinstance(x, Traced):
            raise TypeError(
                "what is compiled already cannot be compiled or differentiated again: use the function itself"
            )
        if isinstance(x, Value):
            raise TypeError(
                f"argument {place} has the Value {x!r:.60}, and compiled code gives numbers, through which nothing can "
                "be differentiated: give its .data, or compile the whole, as compile(grad(f))"
            )
    return [float(x) for x in numbers]


def _is_array(x: Any) -> bool:
    return hasattr(type(x), "__array_interface__") and bool(x.ndim)  # asked of x, it would be made


class Ready:
    """A function traced and compiled for arguments of some shape."""

    def __init__(self, compiled: Compiled, packed: Sequence[_Packed], how: str):
        self.compiled, self.how = compiled, how
        batched = self.batched = sorted(compiled.batched)
        for i in batched:
            if not -1 < i < len(packed):
                raise ValueError(f"batched has {i}, and {compiled.name} was called with {len(packed)} arguments")
        started = perf_counter()
        trace = Trace()
        samples = [p.like[0] if i in batched else p.like for i, p in enumerate(packed)]
        flat = [flatten(x, f"argument {i}") for i, x in enumerate(samples)]
        self.sizes = [len(numbers) for numbers, _ in flat]
        self.rebuild = [rebuild for _, rebuild in flat]
        out = traced(trace, compiled.f, samples)
        outs, self.rebuild_out = flatten(out, f"what {compiled.name} returned")
        self._gives_arrays = _has_array(out)
        self.trace_seconds = perf_counter() - started
        wanted: list[int] = []
        if how != "value":
            if len(outs) != 1:
                raise TypeError(f"{compiled.name} returned {len(outs)} numbers: a gradient needs one")
            if batched and compiled.reduce is None:
                raise ValueError("reduce=None gives each sample its own result; a gradient needs 'mean' or 'sum'")
            if how == "gradient":
                for i in compiled.argnums:
                    if not -len(packed) <= i < len(packed):
                        raise ValueError(
                            f"{compiled.name} was called with {len(packed)} arguments, and is to be differentiated by "
                            f"number {i} (the first is 0)"
                        )
                self.places = [i % len(packed) for i in compiled.argnums]
                self.order = sorted(set(self.places))
                wanted = [ARGUMENT + i for i in self.order]
            else:
                wanted = [PARAMETER]
        program = Program(trace, outs, wanted, as_is=compiled.strict)
        self.parameters = program.parameters
        lanes = lanes_for(packed[batched[0]].count) if batched and not compiled.strict else 1
        self.kernel = Kernel(
            program, self.sizes, batched, wanted, lanes=lanes, strict=compiled.strict,
            each=bool(batched) and compiled.reduce is None,
            more=self._descent if wanted == [ARGUMENT] and 0 not in batched else None,
        )  # fmt: skip
        self.seconds = perf_counter() - started

        slot, spaces = self.kernel.slot, [ARGUMENT + i for i in range(len(packed))]
        # (where its address goes, bytes from one sample to the next)
        self._parameters, self._out = slot("x", PARAMETER), slot("out")
        self._inputs = [
            (slot("raw", s), 8 * self.sizes[i]) if i in batched else (slot("x", s), 0) for i, s in enumerate(spaces)
        ]
        layout, counts = self.kernel.layout, self.kernel.counts
        self._gradients = [
            (slot("gradient", s), counts[s], 8 * counts[s] if layout.is_vector(s) else 0) for s in wanted
        ]
        self._seen: list[Any] = [None] * len(packed)  # the arrays of the last call
        self._mean = bool(batched) and compiled.reduce == "mean"
        self._rows = len(program.rows)
        self._descents: list[_Descent] = []  # that no thread uses now

    def source(self) -> Source:
        shapes = [build(list(range(size))) for build, size in zip(self.rebuild, self.sizes, strict=True)]
        note = ""
        if self.batched:
            results = {"mean": "results are their mean", "sum": "results are their sum", None: "each has its results"}
            note = f"for each sample; {results[self.compiled.reduce]}"
        return Source(self.kernel.nest, self.compiled.f, self.parameters, shapes, self.kernel.wanted, note)

    def again(self, args: tuple[Any, ...]) -> list[_Packed] | None:
        """The arguments packed, if they are arrays as those of the last call, or floats: the quick way."""
        seen_all = self._seen  # another thread may replace them
        if len(args) != len(seen_all):
            return None
        packed, same = [], True
        for i, x in enumerate(args):
            seen = seen_all[i]
            if seen is None or type(x) is not type(seen.like):
                return None
            if type(x) is float:
                same = False
                packed.append(_pack(x, i, batched=False))
            elif x is seen.like and x.shape == seen.shape and x.dtype.char == "d" and x.flags.c_contiguous:
                packed.append(seen)
            elif x.dtype.char == "d" and x.shape[i in self.compiled.batched :] == seen.key[1]:
                same = False
                packed.append(_pack(x, i, batched=i in self.compiled.batched))
            else:
                return None
        return seen_all if same else packed

    def __call__(self, packed: Sequence[_Packed]) -> Any:
        count, scale = self._count(packed)
        parameters = array("d", [p._data for p in self.parameters]) if self.parameters else ZERO
        pieces = count * self._rows // PIECE
        if pieces < 2:
            outs, gradients = self._work(packed, parameters, 0, count, scale)
        else:
            outs, gradients = self._share(packed, parameters, count, scale, min(pieces, PIECES))
        if self.how == "value":
            values = outs.tolist() if scale == 1.0 or self.kernel.each else [x * scale for x in outs]
            return self._results(values, packed)
        value = outs[0] * scale
        if self.how == "backward":
            for p, g in zip(self.parameters, gradients[0], strict=False):
                p._grad += g
            return value
        shaped = [self._shaped(i, g, packed[i]) for i, g in zip(self.order, gradients, strict=True)]
        if not self.compiled.several:
            return value, shaped[0]
        return value, tuple(shaped[self.order.index(i)] for i in self.places)

    def _count(self, packed: Sequence[_Packed]) -> tuple[int, float]:
        """How many samples there are, and the derivative of the result by that of each."""
        if packed is not self._seen:
            self._seen = [p if p.shape is not None else None for p in packed]
        count = packed[self.batched[0]].count if self.batched else 1
        for i in self.batched:
            if packed[i].count != count:
                raise ValueError(
                    f"argument {self.batched[0]} has {count} samples, and argument {i} has {packed[i].count}"
                )
        return count, 1.0 / count if self._mean else 1.0

    def _work(
        self, packed: Sequence[_Packed], parameters: Any, start: int, end: int, scale: float
    ) -> tuple[Any, list[Any]]:
        """Run the code on the samples from start to end. Returns the results and the gradients, as arrays."""
        kernel = self.kernel
        workspace = kernel.workspace()
        table = workspace.table
        for (where, step), p in zip(self._inputs, packed, strict=True):
            table[where] = p.address + start * step
        table[self._parameters] = parameters.buffer_info()[0]
        gradients = []
        for where, size, step in self._gradients:
            room = ZERO * (size * (end - start) if step else size or 1)
            table[where] = room.buffer_info()[0]
            gradients.append(room)
        outs = ZERO * (kernel.outs * (end - start) if kernel.each else kernel.outs)
        table[self._out] = outs.buffer_info()[0]
        kernel.run(workspace.address, end - start, scale)
        kernel.release(workspace)
        return outs, gradients

    def _descent(self, kernel: Kernel) -> str:
        return DESCEND.format(
            x=kernel.slot("x", ARGUMENT), gradient=kernel.slot("gradient", ARGUMENT), out=kernel.slot("out"),
            count=kernel.counts[ARGUMENT],
        )  # fmt: skip

    def descend(self, packed: Sequence[_Packed], lr: float, steps: int) -> float:
        """Gradient descent on the first argument, in place."""
        count, scale = self._count(packed)
        try:
            descent = self._descents.pop()
        except IndexError:
            descent = _Descent(self)
        descent.read(packed)
        descent.run(descent.workspace.address, count, scale, lr, steps)
        value: float = descent.outs[0] * scale
        self._descents.append(descent)
        return value

    def _share(
        self, packed: Sequence[_Packed], parameters: Any, count: int, scale: float, pieces: int
    ) -> tuple[Any, list[Any]]:
        """The same in pieces that several threads work on. They depend on the samples only, so the result does too."""
        lanes = self.kernel.lanes
        blocks = -(-count // lanes)
        ends = [min(count, lanes * (blocks * i // pieces)) for i in range(pieces + 1)]
        spans = [(a, b) for a, b in pairwise(ends) if a < b]
        threads = min(self.compiled.threads or os.cpu_count() or 1, len(spans))
        if threads == 1 or threading.current_thread().name.startswith(_POOL):  # which would wait for itself
            done = [self._work(packed, parameters, a, b, scale) for a, b in spans]
        else:
            done = list(_pool(threads).map(lambda span: self._work(packed, parameters, span[0], span[1], scale), spans))
        outs, gradients = done[0]
        for more, slopes in done[1:]:
            if self.kernel.each:
                outs.extend(more)
            else:
                self._add(outs, more)
            for total, part, (_, _, step) in zip(gradients, slopes, self._gradients, strict=True):
                if step:
                    total.extend(part)
                else:
                    self._add(total, part)
        return outs, gradients

    def _add(self, total: Any, part: Any) -> None:
        self.kernel.add(total.buffer_info()[0], part.buffer_info()[0], len(total))

    def _shaped(self, place: int, numbers: Any, packed: _Packed) -> Any:
        """A gradient in the shape of the argument."""
        x = packed.like
        if packed.shape or _is_array(x):
            import numpy

            return numpy.ndarray(x.shape, float, numbers)
        size = self.sizes[place]
        if place in self.compiled.batched:
            parts = [numbers[i * size : (i + 1) * size].tolist() for i in range(packed.count)]
            return [self.rebuild[place](part) for part in parts]
        return self.rebuild[place](numbers[:size].tolist())

    def _results(self, values: list[float], packed: Sequence[_Packed]) -> Any:
        if not self.kernel.each:
            return self.rebuild_out(values)
        outs = self.kernel.outs
        columns: list[Any] = [values[i::outs] for i in range(outs)]
        if self._gives_arrays or any(_is_array(packed[i].like) for i in self.batched):
            import numpy

            columns = [numpy.array(column) for column in columns]
        return _samples_first(self.rebuild_out(columns), self.rebuild_out([0.0] * outs))


def _samples_first(results: Any, one: Any) -> Any:
    """Results of all samples in the shape of those of one: in arrays, the samples lead."""
    if isinstance(one, dict):
        return {key: _samples_first(results[key], item) for key, item in one.items()}
    if isinstance(one, (list, tuple)):
        parts = [_samples_first(a, b) for a, b in zip(results, one, strict=True)]
        return type(one)(*parts) if hasattr(one, "_fields") else type(one)(parts)
    return results.transpose(-1, *range(one.ndim)) if _is_array(one) else results


class _Descent:
    """What `descend` needs, kept from call to call: a step may take less time than to put it together."""

    def __init__(self, ready: Ready):
        kernel = ready.kernel
        self._ready, self._packed = ready, None
        self.workspace = kernel.workspace()
        ((where, size, _),) = ready._gradients
        self._gradient, self.outs = ZERO * (size or 1), ZERO * 1
        self.workspace.table[where] = self._gradient.buffer_info()[0]
        self.workspace.table[ready._out] = self.outs.buffer_info()[0]
        self.run = kernel.function("descend", None, c_void_p, c_int64, c_double, c_double, c_int64)

    def read(self, packed: Any) -> None:
        """Take the arguments."""
        ready, table = self._ready, self.workspace.table
        if ready.parameters:
            self._numbers = array("d", [p._data for p in ready.parameters])
            table[ready._parameters] = self._numbers.buffer_info()[0]
        if packed is not self._packed:
            self._packed = packed
            for (where, _), p in zip(ready._inputs, packed, strict=True):
                table[where] = p.address
