"""A program as machine code: the functions of its chunks, and one around them that runs them over the samples."""

import ctypes
import threading
from collections.abc import Callable, Sequence
from math import nan
from time import perf_counter
from typing import Any

from .around import Around
from .loops import count_terms, folded
from .lowering import address, features, llvm, simd
from .nest import Nest
from .trace import CONSTANT, PARAMETER, Program
from .writing import Layout, Writer

SMALL = 3000  # operations and loops written down, up to which LLVM may take its time


class Kernel:
    """One function, ready to run.

    sizes: how many numbers each argument has, of one sample if it is batched. wanted: the arguments (and PARAMETER)
    whose gradient is computed. each: has each sample its own results? Else they are added up. more: writes what else
    belongs to the code.
    """

    def __init__(
        self,
        program: Program,
        sizes: Sequence[int],
        batched: Sequence[int],
        wanted: Sequence[int],
        *,
        lanes: int,
        strict: bool,
        each: bool = False,
        more: "Callable[[Kernel], str] | None" = None,
    ):
        started = perf_counter()
        terms = folded(program)
        self.fold_seconds = perf_counter() - started
        self.program, self.lanes, self.each = program, lanes, each
        self.terms = count_terms(terms)
        width = min(lanes, simd())
        self.layout = layout = Layout(len(sizes), batched, lanes, width)
        self.wanted = list(wanted)
        nest = Nest(program, terms, gradient=bool(wanted), strict=strict, lanes=lanes)
        self.nest = nest
        functions, declared, self.callbacks = [], {}, {}
        for i, chunk in enumerate(nest.chunks):
            for way in ("forward", "backward") if wanted else ("forward",):
                writer = Writer(nest, layout)
                functions.append(writer.function(f"{way}{i}", getattr(writer, way), chunk))
                declared.update(writer.code.declared)
                self.callbacks.update(writer.code.callbacks)
        self.counts = {PARAMETER: len(program.parameters), CONSTANT: len(program.constants)}
        self.counts.update({space: sizes[i] for i, space in enumerate(layout.spaces[2:])})
        self.outs = program.outs
        around = Around(self)
        functions.append(around.text())
        declared.update(around.declared)
        self.ir = "\n\n".join(["\n".join(declared.values()), *functions, _ADD, more(self) if more else ""])
        started = perf_counter()
        self._engine = _compiled(self.ir, list(declared), self.callbacks, quick=self.terms > SMALL)
        self.run = self.function("run", None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_double)
        self.add = self.function("add", None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self.compile_seconds = perf_counter() - started
        self._free: list[Any] = []  # workspaces that no thread uses now

    # ---- the pointers that `run` is given, by their place in the table

    def slot(self, name: str, space: int = 0) -> int:
        """values, adjoints, x, g: what the chunks are given; raw, gradient: the numbers of the caller; out."""
        layout = self.layout
        spaces = len(layout.spaces)
        at = layout.spaces.index(space) if space else 0
        return {
            "values": 0, "adjoints": 1, "x": 2 + at, "g": 2 + spaces + at, "raw": 2 + 2 * spaces + at,
            "gradient": 2 + 3 * spaces + at, "out": 2 + 4 * spaces,
        }[name]  # fmt: skip

    def function(self, name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
        """One of the functions of the code, with the types of C. It raises what an operation in Python raised."""
        call = ctypes.CFUNCTYPE(result, *parameters)(self._engine.get_function_address(name))
        return _raising(call) if self.callbacks else call

    def workspace(self) -> "Workspace":
        """One that nobody uses; give it back to `release`."""
        try:
            return self._free.pop()  # type: ignore[no-any-return]
        except IndexError:
            return Workspace(self)

    def release(self, workspace: "Workspace") -> None:
        self._free.append(workspace)


_ADD = """define void @add(ptr noalias %to, ptr noalias %from, i64 %n) {
start:
  br label %loop
loop:
  %i = phi i64 [0, %start], [%next, %loop]
  %p = getelementptr double, ptr %to, i64 %i
  %q = getelementptr double, ptr %from, i64 %i
  %a = load double, ptr %p
  %b = load double, ptr %q
  %c = fadd double %a, %b
  store double %c, ptr %p
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}"""


class Workspace:
    """The arrays that one running call needs, and the table of pointers to them."""

    def __init__(self, kernel: Kernel):
        layout, program, lanes = kernel.layout, kernel.program, kernel.lanes
        self.table = (ctypes.c_void_p * (kernel.slot("out") + 1))()
        self.address = ctypes.addressof(self.table)
        self._kept: list[Any] = []
        rows = len(program.rows) * lanes
        self.values = self._array(kernel.slot("values"), rows)
        if kernel.wanted:
            self._array(kernel.slot("adjoints"), rows)
        for space in layout.spaces:
            count = kernel.counts[space]
            if space in layout.batched:
                self._array(kernel.slot("x", space), count * lanes)
            if space in kernel.wanted:
                self._array(kernel.slot("g", space), count * (lanes if layout.is_vector(space) else layout.width))
        constants = self._array(kernel.slot("x", CONSTANT), len(program.constants))
        constants[: len(program.constants)] = program.constants
        self.out = self._array(kernel.slot("out"), max(kernel.outs, 1))

    def _array(self, slot: int, count: int) -> Any:
        """Of doubles, all 0, at an address that vectors like."""
        raw = (ctypes.c_double * (count + 8))()
        self._kept.append(raw)
        start = -ctypes.addressof(raw) % 64
        array = (ctypes.c_double * max(count, 1)).from_buffer(raw, start)
        self.table[slot] = ctypes.addressof(array)
        return array


def _machine(*, quick: bool) -> Any:
    """The engine takes it over, so that each needs its own."""
    binding = llvm()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=",".join(f"{'+' if on else '-'}{name}" for name, on in features().items()),
        opt=0 if quick else 3,
        jit=True,
    )


def _compiled(ir: str, functions: list[str], callbacks: dict[str, Any], *, quick: bool) -> Any:
    binding = llvm()
    machine = _machine(quick=quick)
    for name in functions:
        if name in callbacks:
            op = callbacks[name]
            kind = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * op.arity)
            callback = kind(_guarded(op.value))
            _callbacks.append((callback, op))  # for as long as the process lives, as the code may
            binding.add_symbol(name, ctypes.cast(callback, ctypes.c_void_p).value)
        elif not name.startswith(("llvm.", "lanes.", "vector.")):
            binding.add_symbol(name, address(name))
    module = binding.parse_assembly(ir)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=0 if quick else 2)
    options.slp_vectorization = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


_callbacks: list[Any] = []
_failures = threading.local()  # what a callback raised, until the native code that called it is done


def _guarded(value: Callable[..., float]) -> Callable[..., float]:
    """Native code cannot raise: the value is nan then, and what `Kernel.function` gave raises it when it is done."""

    def guarded(*numbers: float) -> float:
        try:
            return float(value(*numbers))
        except BaseException as error:  # noqa: BLE001  # an interrupt too
            _failures.first = getattr(_failures, "first", None) or error
            return nan

    return guarded


def _raising(call: Callable[..., Any]) -> Callable[..., Any]:
    def raising(*given: Any) -> Any:
        out = call(*given)
        error, _failures.first = getattr(_failures, "first", None), None
        if error is not None:
            raise error
        return out

    return raising
