"""The function around the chunks of a program: it takes samples to vectors, and results and gradients to the caller."""

from collections.abc import Callable
from typing import Any

from .lowering import Code


class Around:
    """Writes `run(table, n, scale)`.

    table: pointers, in the places that `Kernel.slot` gives. n: how many samples. scale: the derivative that the result
    of each sample has, 1/n for a mean.
    """

    def __init__(self, kernel: Any):
        self.kernel = kernel
        self.layout, self.lanes = kernel.layout, kernel.lanes
        self.code = Code(1, strict=False)
        self.declared = {"llvm.memset.p0.i64": "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"}
        vector = Code(self.lanes, strict=False)
        self.vector, self.truth, self.zero = vector.type, vector.truth, vector.text(0.0)
        self._block = "start"
        self._pointers: dict[Any, str] = {}

    def text(self) -> str:
        """The function."""
        kernel, layout = self.kernel, self.layout
        for space in layout.spaces:
            for name in ("x", "g", "raw", "gradient"):
                self.pointer(name, space)
        shared = [space for space in kernel.wanted if not layout.is_vector(space)]
        for space in shared:
            self.clear(space)
        if layout.batched:
            self.repeat("%n", self.samples, step=self.lanes)
        else:
            self.whole()
        for space in shared:
            self.give_sums(space)
        body = "\n".join(self.code.lines)
        return f"define void @run(ptr %table, i64 %n, double %scale) {{\nstart:\n{body}\n  ret void\n}}"

    # ---- instructions

    def pointer(self, name: str, space: int = 0) -> str:
        key = name, space
        if key not in self._pointers:
            at = self.element("%table", str(self.kernel.slot(name, space)), "ptr")
            self._pointers[key] = self.code.put(f"load ptr, ptr {at}")
        return self._pointers[key]

    def element(self, base: str, at: str, kind: str = "double") -> str:
        return self.code.put(f"getelementptr {kind}, ptr {base}, i64 {at}")

    def place(self, row: str, width: int, column: str) -> str:
        """The index of a number in rows of some width."""
        return self.code.put(f"add i64 {self.code.put(f'mul i64 {row}, {width}')}, {column}")

    def copy(self, source: str, target: str) -> None:
        x = self.code.put(f"load double, ptr {source}")
        self.code.lines.append(f"  store double {x}, ptr {target}")

    def repeat(self, count: int | str, body: Callable[[str], None], step: int = 1) -> None:
        """Write a loop from 0 to count, which is at least 1 if it is no number here."""
        if count == 0:
            return
        code, lines = self.code, self.code.lines
        head, done, index, following = (code.label(name) for name in ("loop", "done", "%i", "%i"))
        before = self._block
        lines += [f"  br label %{head}", f"{head}:", ""]
        place = len(lines) - 1
        self._block = head
        body(index)
        lines.append(f"  {following} = add nsw i64 {index}, {step}")
        more = code.put(f"icmp slt i64 {following}, {count}")
        lines += [f"  br i1 {more}, label %{head}, label %{done}", f"{done}:"]
        lines[place] = f"  {index} = phi i64 [0, %{before}], [{following}, %{self._block}]"
        self._block = done

    def spread(self, kind: str, x: str) -> str:
        """A vector of one number."""
        if self.lanes == 1:
            return x
        vector = f"<{self.lanes} x {kind}>"
        one = self.code.put(f"insertelement {vector} poison, {kind} {x}, i64 0")
        return self.code.put(f"shufflevector {vector} {one}, {vector} poison, <{self.lanes} x i32> zeroinitializer")

    def total(self, x: str, lanes: int) -> str:
        """The sum of a vector."""
        if lanes == 1:
            return x
        vector, name = f"<{lanes} x double>", f"llvm.vector.reduce.fadd.v{lanes}f64"
        self.declared[name] = f"declare double @{name}(double, {vector})"
        return self.code.put(f"call reassoc double @{name}(double -0.0, {vector} {x})")

    def clear(self, space: int) -> None:
        """Set the sums of a gradient to 0."""
        size = self.kernel.counts[space] * 8 * (self.lanes if self.layout.is_vector(space) else self.layout.width)
        if size:
            to = self.pointer("g", space)
            self.code.lines.append(f"  call void @llvm.memset.p0.i64(ptr {to}, i8 0, i64 {size}, i1 false)")

    def go(self, way: str) -> None:
        """Through all chunks."""
        spaces = self.layout.spaces
        names = [("values", 0), ("adjoints", 0), *(("x", s) for s in spaces), *(("g", s) for s in spaces)]
        given = ", ".join(f"ptr {self.pointer(*name)}" for name in names)
        order = range(len(self.kernel.nest.chunks))
        for i in order if way == "forward" else reversed(order):
            self.code.lines.append(f"  call void @{way}{i}({given})")

    def result(self, o: str) -> str:
        """Where the chunks put result number o."""
        cell = self.code.put(f"add i64 {o}, {len(self.kernel.program.rows) - self.kernel.outs}")
        return self.element(self.pointer("values"), cell, self.vector)

    def differentiate(self, seed: str) -> None:
        """Backward from the last result, whose derivative is `seed`."""
        to = self.element(self.pointer("adjoints"), str(len(self.kernel.program.rows) - 1), self.vector)
        self.code.lines.append(f"  store {self.vector} {seed}, ptr {to}, align 8")
        self.go("backward")

    # ---- without samples

    def whole(self) -> None:
        self.go("forward")
        out = self.pointer("out")
        if self.kernel.wanted:
            self.differentiate("1.0")
        self.repeat(self.kernel.outs, lambda o: self.copy(self.result(o), self.element(out, o)))

    # ---- as many samples as a vector has lanes, from number `start` on

    def samples(self, start: str) -> None:
        kernel, code = self.kernel, self.code
        for space in sorted(self.layout.batched):
            self.collect(space, start)
            if space in kernel.wanted:
                self.clear(space)
        self.go("forward")
        left = code.put(f"sub i64 %n, {start}")
        fewer = code.put(f"icmp slt i64 {left}, {self.lanes}")
        filled = code.put(f"select i1 {fewer}, i64 {left}, i64 {self.lanes}")  # how many are samples
        integers = "i64" if self.lanes == 1 else f"<{self.lanes} x i64>"
        numbers = "0" if self.lanes == 1 else f"<{', '.join(f'i64 {lane}' for lane in range(self.lanes))}>"
        mask = code.put(f"icmp slt {integers} {numbers}, {self.spread('i64', left)}")
        self.repeat(kernel.outs, lambda o: self.each(o, start, filled) if kernel.each else self.add_up(o, mask))
        if kernel.wanted:
            scale = self.spread("double", "%scale")
            self.differentiate(
                code.put(f"select {self.truth} {mask}, {self.vector} {scale}, {self.vector} {self.zero}")
            )
        for space in kernel.wanted:
            if self.layout.is_vector(space):
                self.give_each(space, start, filled)

    def collect(self, space: int, start: str) -> None:
        """Take the samples to lanes; where there are no more, the last one again."""
        count, raw, mine = self.kernel.counts[space], self.pointer("raw", space), self.pointer("x", space)
        last = self.code.put("sub i64 %n, 1")
        rows = []
        for lane in range(self.lanes):
            row = self.code.put(f"add i64 {start}, {lane}")
            inside = self.code.put(f"icmp slt i64 {row}, %n")
            rows.append(self.code.put(f"select i1 {inside}, i64 {row}, i64 {last}"))

        def column(j: str) -> None:
            for lane, row in enumerate(rows):
                to = self.element(mine, self.place(j, self.lanes, str(lane)))
                self.copy(self.element(raw, self.place(row, count, j)), to)

        self.repeat(count, column)

    def add_up(self, o: str, mask: str) -> None:
        """Add the results of the samples to result o."""
        code, to = self.code, self.element(self.pointer("out"), o)
        x = code.put(f"load {self.vector}, ptr {self.result(o)}, align 8")
        kept = code.put(f"select {self.truth} {mask}, {self.vector} {x}, {self.vector} {self.zero}")
        total = self.total(kept, self.lanes)
        before = code.put(f"load double, ptr {to}")
        code.lines.append(f"  store double {code.put(f'fadd double {before}, {total}')}, ptr {to}")

    def each(self, o: str, start: str, filled: str) -> None:
        """Give the caller result o of each sample."""
        results, out = self.result(o), self.pointer("out")
        self._scatter(lambda lane: self.element(results, lane), out, self.kernel.outs, o, start, filled)

    def give_each(self, space: int, start: str, filled: str) -> None:
        """Give the caller the gradient of each sample."""
        count, sums, to = self.kernel.counts[space], self.pointer("g", space), self.pointer("gradient", space)

        def column(j: str) -> None:
            self._scatter(lambda lane: self.element(sums, self.place(j, self.lanes, lane)), to, count, j, start, filled)

        self.repeat(count, column)

    def _scatter(self, source: Callable[[str], str], to: str, width: int, column: str, start: str, filled: str) -> None:
        def lane(lane: str) -> None:
            row = self.code.put(f"add i64 {start}, {lane}")
            self.copy(source(lane), self.element(to, self.place(row, width, column)))

        self.repeat(filled, lane)

    def give_sums(self, space: int) -> None:
        """Give the caller a gradient, summed over the lanes."""
        width, sums, to = self.layout.width, self.pointer("g", space), self.pointer("gradient", space)
        kind = "double" if width == 1 else f"<{width} x double>"

        def number(j: str) -> None:
            row = self.code.put(f"load {kind}, ptr {self.element(sums, j, kind)}, align 8")
            self.code.lines.append(f"  store double {self.total(row, width)}, ptr {self.element(to, j)}")

        self.repeat(self.kernel.counts[space], number)
