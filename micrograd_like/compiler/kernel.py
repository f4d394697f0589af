"""A program as machine code: the functions of its chunks, and one around them that runs them over the samples."""

import ctypes
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from .loops import count_terms, folded
from .lowering import Code, address, llvm, simd
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
        entry = self._entry(declared)
        attributes = "\n".join(declared.values())
        self.ir = "\n\n".join([attributes, *functions, entry, _ADD, more(self) if more else ""])
        started = perf_counter()
        self._engine = _compiled(self.ir, list(declared), self.callbacks, quick=self.terms > SMALL)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_double)
        self.run = kind(self.function("run"))
        add = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self.add = add(self.function("add"))
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

    def function(self, name: str) -> int:
        """Its address."""
        return self._engine.get_function_address(name)  # type: ignore[no-any-return]

    def workspace(self) -> "Workspace":
        """One that nobody uses; give it back to `release`."""
        try:
            return self._free.pop()  # type: ignore[no-any-return]
        except IndexError:
            return Workspace(self)

    def release(self, workspace: "Workspace") -> None:
        self._free.append(workspace)

    # ---- the function around

    def _entry(self, declared: dict[str, str]) -> str:
        layout, lanes = self.layout, self.lanes
        code = Code(1, strict=False)
        lines = code.lines
        vector = Code(lanes, strict=False).type
        names = {}

        def pointer(name: str, space: int = 0) -> str:
            key = name, space
            if key not in names:
                at = code.put(f"getelementptr ptr, ptr %table, i64 {self.slot(name, space)}")
                names[key] = code.put(f"load ptr, ptr {at}")
            return names[key]

        given = ", ".join(
            f"ptr {p}"
            for p in (
                pointer("values"), pointer("adjoints"),
                *(pointer("x", s) for s in layout.spaces), *(pointer("g", s) for s in layout.spaces),
            )
        )  # fmt: skip
        wanted = self.wanted
        batched = sorted(layout.batched)
        for space in layout.spaces:
            pointer("raw", space), pointer("gradient", space)
        out = pointer("out")
        declared["llvm.memset.p0.i64"] = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"

        def clear(space: int) -> None:
            size = self.counts[space] * 8 * (lanes if layout.is_vector(space) else layout.width)
            if size:
                lines.append(f"  call void @llvm.memset.p0.i64(ptr {pointer('g', space)}, i8 0, i64 {size}, i1 false)")

        block = "start"

        def repeat(count: int | str, body: Any, step: int = 1) -> None:
            nonlocal block
            if count == 0:
                return
            head, done, index = code.label("loop"), code.label("done"), code.label("%i")
            following = code.label("%i")
            before = block
            lines.extend([f"  br label %{head}", f"{head}:"])
            place = len(lines)
            lines.append("")
            block = head
            body(index)
            lines.append(f"  {following} = add nsw i64 {index}, {step}")
            more = code.put(f"icmp slt i64 {following}, {count}")
            lines.extend([f"  br i1 {more}, label %{head}, label %{done}", f"{done}:"])
            lines[place] = f"  {index} = phi i64 [0, %{before}], [{following}, %{block}]"
            block = done

        def element(base: str, at: str, kind: str = "double") -> str:
            return code.put(f"getelementptr {kind}, ptr {base}, i64 {at}")

        size, outs = len(self.program.rows), self.outs
        values, adjoints = pointer("values"), pointer("adjoints")
        for space in wanted:
            if not layout.is_vector(space):
                clear(space)
        if not batched:
            for i in range(len(self.nest.chunks)):
                lines.append(f"  call void @forward{i}({given})")
            if wanted:
                lines.append(f"  store double 1.0, ptr {element(adjoints, str(size - 1))}")
                for i in reversed(range(len(self.nest.chunks))):
                    lines.append(f"  call void @backward{i}({given})")

            def copy(o: str) -> None:
                x = code.put(f"load double, ptr {element(values, code.put(f'add i64 {o}, {size - outs}'))}")
                lines.append(f"  store double {x}, ptr {element(out, o)}")

            repeat(outs, copy)
        else:
            last = code.put("sub i64 %n, 1")

            def samples(start: str) -> None:
                for space in batched:
                    count, raw, mine = self.counts[space], pointer("raw", space), pointer("x", space)

                    def numbers(j: str, count: int = count, raw: str = raw, mine: str = mine) -> None:
                        for lane in range(lanes):
                            row = code.put(f"add i64 {start}, {lane}")
                            inside = code.put(f"icmp slt i64 {row}, %n")
                            row = code.put(f"select i1 {inside}, i64 {row}, i64 {last}")
                            at = code.put(f"add i64 {code.put(f'mul i64 {row}, {count}')}, {j}")
                            x = code.put(f"load double, ptr {element(raw, at)}")
                            to = code.put(f"add i64 {code.put(f'mul i64 {j}, {lanes}')}, {lane}")
                            lines.append(f"  store double {x}, ptr {element(mine, to)}")

                    repeat(count, numbers)
                    if space in wanted:
                        clear(space)
                for i in range(len(self.nest.chunks)):
                    lines.append(f"  call void @forward{i}({given})")
                inside = []
                mask = "poison"
                for lane in range(lanes):
                    row = code.put(f"add i64 {start}, {lane}")
                    inside.append(code.put(f"icmp slt i64 {row}, %n"))
                    truth = f"<{lanes} x i1>" if lanes > 1 else "i1"
                    mask = (
                        code.put(f"insertelement {truth} {mask}, i1 {inside[-1]}, i64 {lane}")
                        if lanes > 1
                        else inside[-1]
                    )
                zero = "splat (double 0.0)" if lanes > 1 else "0.0"
                truth = f"<{lanes} x i1>" if lanes > 1 else "i1"

                def results(o: str) -> None:
                    cell = code.put(f"add i64 {o}, {size - outs}")
                    v = code.put(f"load {vector}, ptr {element(values, cell, vector)}, align 8")
                    kept = code.put(f"select {truth} {mask}, {vector} {v}, {vector} {zero}")
                    if lanes > 1:
                        name = f"llvm.vector.reduce.fadd.v{lanes}f64"
                        declared[name] = f"declare double @{name}(double, {vector})"
                        total = code.put(f"call reassoc double @{name}(double -0.0, {vector} {kept})")
                    else:
                        total = kept
                    to = element(out, o)
                    old = code.put(f"load double, ptr {to}")
                    lines.append(f"  store double {code.put(f'fadd double {old}, {total}')}, ptr {to}")

                def each(o: str) -> None:
                    cell = code.put(f"add i64 {o}, {size - outs}")
                    base = element(values, cell, vector)

                    def lane_out(lane: str) -> None:
                        x = code.put(f"load double, ptr {element(base, lane)}")
                        row = code.put(f"add i64 {start}, {lane}")
                        at = code.put(f"add i64 {code.put(f'mul i64 {row}, {outs}')}, {o}")
                        lines.append(f"  store double {x}, ptr {element(out, at)}")

                    left = code.put(f"sub i64 %n, {start}")
                    fewer = code.put(f"icmp slt i64 {left}, {lanes}")
                    repeat(code.put(f"select i1 {fewer}, i64 {left}, i64 {lanes}"), lane_out)

                repeat(outs, each if self.each else results)
                if wanted:
                    scale = "%scale"
                    if lanes > 1:
                        one = code.put(f"insertelement {vector} poison, double %scale, i64 0")
                        scale = code.put(
                            f"shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer"
                        )
                    seed = code.put(f"select {truth} {mask}, {vector} {scale}, {vector} {zero}")
                    lines.append(f"  store {vector} {seed}, ptr {element(adjoints, str(size - 1), vector)}, align 8")
                    for i in reversed(range(len(self.nest.chunks))):
                        lines.append(f"  call void @backward{i}({given})")
                left = code.put(f"sub i64 %n, {start}")
                fewer = code.put(f"icmp slt i64 {left}, {lanes}")
                filled = code.put(f"select i1 {fewer}, i64 {left}, i64 {lanes}")
                for space in batched:
                    if space in wanted:
                        count, rows, to = self.counts[space], pointer("g", space), pointer("gradient", space)

                        def by_sample(j: str, count: int = count, rows: str = rows, to: str = to) -> None:
                            def lane_out(lane: str) -> None:
                                at = code.put(f"add i64 {code.put(f'mul i64 {j}, {lanes}')}, {lane}")
                                x = code.put(f"load double, ptr {element(rows, at)}")
                                row = code.put(f"add i64 {start}, {lane}")
                                at = code.put(f"add i64 {code.put(f'mul i64 {row}, {count}')}, {j}")
                                lines.append(f"  store double {x}, ptr {element(to, at)}")

                            repeat(filled, lane_out)

                        repeat(count, by_sample)

            repeat("%n", samples, step=lanes)
        if wanted:
            for space in wanted:
                if layout.is_vector(space):
                    continue
                rows, to = pointer("g", space), pointer("gradient", space)
                part = f"<{layout.width} x double>" if lanes > 1 else "double"
                name = f"llvm.vector.reduce.fadd.v{layout.width}f64"
                if lanes > 1:
                    declared[name] = f"declare double @{name}(double, {part})"

                def add_lanes(j: str, rows: str = rows, to: str = to, part: str = part, name: str = name) -> None:
                    row = code.put(f"load {part}, ptr {element(rows, j, part)}, align 8")
                    total = code.put(f"call reassoc double @{name}(double -0.0, {part} {row})") if lanes > 1 else row
                    lines.append(f"  store double {total}, ptr {element(to, j)}")

                repeat(self.counts[space], add_lanes)
        body = "\n".join(lines)
        return f"define void @run(ptr %table, i64 %n, double %scale) {{\nstart:\n{body}\n  ret void\n}}"


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
        features=binding.get_host_cpu_features().flatten(),
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
            callback = kind(op.value)
            _callbacks[name] = callback  # for as long as the process lives, as the code may
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


_callbacks: dict[str, Any] = {}
