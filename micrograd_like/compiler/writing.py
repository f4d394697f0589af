"""Code from the nest: forward as it stands, and backward, the same nest with its turns and statements reversed.

A statement's contribution to the derivative by an operand is its partial, applied to the names of the operands, times
its own derivative: the chain rule, once for each statement and not for each operation. Where contributions are added up
follows from how the operand is read: in a register, from turn to turn, or in memory.
"""

from collections.abc import Callable, Iterable
from typing import Any

from ..ops import apply
from .lowering import Code, Native
from .nest import Access, Loop, Nest, Statement
from .trace import ARGUMENT, CONSTANT, PARAMETER, VALUE

Path = tuple[Loop, ...]


class Layout:
    """What the functions are given: one pointer for each array, in this order.

    values, adjoints: a cell for each row of the program. Then for parameters, constants and each argument the numbers,
    and for each of these the places where its gradient is added up.
    """

    def __init__(self, arguments: int, batched: Iterable[int], lanes: int, width: int):
        self.batched = frozenset(ARGUMENT + k for k in batched)
        self.lanes, self.width = lanes, width
        self.spaces = [PARAMETER, CONSTANT, *range(ARGUMENT, ARGUMENT + arguments)]
        self.names = ["%values", "%adjoints", *(f"%x{s}" for s in self.spaces), *(f"%g{s}" for s in self.spaces)]
        self.parameters = ", ".join(f"ptr noalias {name}" for name in self.names)
        self.given = ", ".join(f"ptr {name}" for name in self.names)

    def is_vector(self, space: int) -> bool:
        """Has each sample its own number?"""
        return space == VALUE or space in self.batched


class Writer:
    """Writes the functions of one chunk."""

    def __init__(self, nest: Nest, layout: Layout):
        self.nest, self.layout = nest, layout
        self.code = Code(layout.lanes, strict=nest.strict)

    def function(self, name: str, write: Callable[[Loop], None], chunk: Loop) -> str:
        code = self.code
        code.lines = ["start:"]
        self.block = "start"
        self.turns: dict[Loop, Any] = {}  # which turn each loop is in
        self.side: tuple[Loop, int] | None = None  # the loop whose turns are written side by side, and how many
        self.known: dict[Statement, Native] = {}  # values in registers
        self.earlier: dict[Statement, Native] = {}  # those of the turn before
        self.adjoint: dict[Statement, Any] = {}
        self.adjoint_before: dict[Statement, Any] = {}  # of the turn before, which is still to come
        self.adjoint_after: dict[Statement, Any] = {}  # of the last turn, from after the loop
        self.sums: dict[Loop, dict[Any, list[Any]]] = {}  # what is added up over the turns of a loop
        self.heads: dict[Loop, list[str]] = {}  # where its phi instructions go
        write(chunk)
        lines: list[str] = []
        for line in code.lines:
            lines += line if isinstance(line, list) else [line]
        body = "\n".join(lines)
        return f"define internal void @{name}({self.layout.parameters}) noinline {{\n{body}\n  ret void\n}}"

    # ---- memory

    def addresses(self, pointer: str, kind: str, access: Access, path: Path) -> list[str]:
        """Where the number is: one address, or one for each turn that is written side by side."""
        code = self.code
        base, moving, side_step = access.base, [], 0
        for loop, step in zip(path, access.steps, strict=True):
            turn = self.turns.get(loop, 0)
            if not step:
                continue
            if isinstance(turn, int):
                base += turn * step
            else:
                moving.append((turn, step))
            if self.side and loop is self.side[0]:
                side_step = step
        count = self.side[1] if side_step and self.side else 1
        where = ""
        for turn, step in moving:
            scaled = turn if step == 1 else code.put(f"mul i64 {turn}, {step}")
            where = scaled if not where else code.put(f"add i64 {where}, {scaled}")
        found = []
        for i in range(count):
            offset = base + i * side_step
            at = str(offset) if not where else where if not offset else code.put(f"add i64 {where}, {offset}")
            found.append(code.put(f"getelementptr {kind}, ptr {pointer}, i64 {at}"))
        return found

    def load(self, access: Access, path: Path, *, adjoint: bool = False) -> Native:
        code, space = self.code, access.space
        if self.layout.is_vector(space):
            pointer = ("%adjoints" if adjoint else "%values") if space == VALUE else f"%x{space}"
            found = self.addresses(pointer, code.type, access, path)
            return Native(code, [code.put(f"load {code.type}, ptr {at}, align 8") for at in found])
        found = self.addresses(f"%x{space}", "double", access, path)
        return Native(code, [self.spread(code.put(f"load double, ptr {at}, align 8")) for at in found])

    def spread(self, x: str) -> str:
        code = self.code
        if code.lanes == 1:
            return x
        one = code.put(f"insertelement {code.type} poison, double {x}, i64 0")
        return code.put(f"shufflevector {code.type} {one}, {code.type} poison, <{code.lanes} x i32> zeroinitializer")

    def store(self, pointer: str, value: Any, access: Access, path: Path) -> None:
        code = self.code
        texts = value.texts if isinstance(value, Native) else [value]
        for i, at in enumerate(self.addresses(pointer, code.type, access, path)):
            text = code.text(texts[i if len(texts) > 1 else 0])
            code.lines.append(f"  store {code.type} {text}, ptr {at}, align 8")

    def read(self, access: Access, path: Path) -> Any:
        """The number as a Native, or as a float if it is always the same."""
        if access.fixed is not None:
            return access.fixed
        if access.how == "before":
            return self.earlier[access.target]
        if access.how == "memory" or access.target not in self.known:
            return self.load(access, path)
        return self.known[access.target]

    # ---- loops

    def spans(self, loop: Loop) -> list[tuple[int, int, int]]:
        """(first turn, end, how many at a time)"""
        whole = loop.count - loop.count % loop.copies
        rest = [(whole, loop.count, 1)] if whole < loop.count else []
        return [(0, whole, loop.copies), *rest]

    def repeat(
        self,
        loop: Loop,
        span: tuple[int, int, int],
        first: dict[Any, Native],
        turn: Callable[[dict[Any, Native]], dict[Any, Native]],
        *,
        down: bool,
    ) -> dict[Any, Native]:
        """Write the turns of a loop. turn: from what the one before gave (`first`) to what it gives."""
        code = self.code
        start, end, step = span
        if step > 1:
            self.side = loop, step
        if start + step == end:
            self.turns[loop] = start
            self.heads[loop] = []
            last = turn(first)
        else:
            before, head = self.block, code.label("loop")
            index, following = code.label("%i"), code.label("%i")
            code.lines += [f"  br label %{head}", f"{head}:"]
            self.block = head
            self.turns[loop] = index
            heads: list[str] = []
            code.lines.append(heads)  # type: ignore[arg-type]
            self.heads[loop] = heads
            phis = {key: Native(code, [code.label("%p") for _ in x.texts]) for key, x in first.items()}
            last = turn(phis)
            begin, finish, change = (end - step, start, -step) if down else (start, end - step, step)
            code.lines += [
                f"  {following} = add nsw i64 {index}, {change}",
            ]
            more = code.put(f"icmp ne i64 {index}, {finish}")
            done = code.label("done")
            code.lines += [f"  br i1 {more}, label %{head}, label %{done}", f"{done}:"]
            latch, self.block = self.block, done
            heads.append(f"  {index} = phi i64 [{begin}, %{before}], [{following}, %{latch}]")
            for key, phi in phis.items():
                self.phi(heads, phi, first[key], before, last[key], latch)
            for _, phi, total in self.sums.get(loop, {}).values():
                zero = Native(code, [code.text(0.0)])
                self.phi(heads, phi, zero, before, total, latch)
        del self.turns[loop]
        if step > 1:
            self.side = None
        return last

    def phi(self, heads: list[str], phi: Native, first: Native, before: str, last: Native, latch: str) -> None:
        for i, name in enumerate(phi.texts):
            a, b = (x.texts[i if len(x.texts) > 1 else 0] for x in (first, last))
            kind = self.code.type
            heads.append(f"  {name} = phi {kind} [{self.code.text(a)}, %{before}], [{self.code.text(b)}, %{latch}]")

    # ---- forward

    def forward(self, chunk: Loop) -> None:
        self.turns[chunk] = 0
        for item in chunk.items:
            self.go_forward(item)

    def go_forward(self, item: Statement | Loop) -> None:
        if isinstance(item, Statement):
            value = apply(item.op, tuple(self.read(x, item.path) for x in item.reads))
            if type(value) is float:
                value = Native(self.code, [self.code.text(value)])
            self.known[item] = value
            if item.stored == "always":
                self.store("%values", value, item.place, item.path)
            if item.adjoint == "always":
                self.store("%adjoints", 0.0, item.place, item.path)
            return
        first = {target: self.number(self.read(access, item.path)) for target, access in item.carried.items()}

        def turn(earlier: dict[Any, Native]) -> dict[Any, Native]:
            self.earlier.update(earlier)
            for inside in item.items:
                self.go_forward(inside)
            return {target: self.known[target] for target in earlier}

        for span in self.spans(item):
            first = self.repeat(item, span, first, turn, down=False)
        for inside in item.items:
            if isinstance(inside, Statement):
                value = self.known[inside]
                if item.copies > 1:
                    value = self.known[inside] = Native(self.code, value.texts[-1:])
                if inside.stored == "last":
                    self.store("%values", value, last_turn(inside), item.path)
                if inside.adjoint == "last":
                    self.store("%adjoints", 0.0, last_turn(inside), item.path)

    def number(self, x: Any) -> Native:
        return x if isinstance(x, Native) else Native(self.code, [self.code.text(x)])

    # ---- backward

    def backward(self, chunk: Loop) -> None:
        self.turns[chunk] = 0
        for item in reversed(chunk.items):
            self.go_backward(item)

    def go_backward(self, item: Statement | Loop) -> None:
        if isinstance(item, Statement):
            self.pass_on(item)
            return
        after = {
            statement: self.plus(
                self.adjoint_after.pop(statement, None),
                self.load(last_turn(statement), item.path, adjoint=True) if statement.adjoint == "last" else None,
            )
            for statement in item.items
            if isinstance(statement, Statement) and any(statement.active)
        }
        carried = {
            target: Native(self.code, [self.code.text(0.0)]) if value is None else value
            for target, value in after.items()
            if value is not None or target in item.carried
        }
        for span in reversed(self.spans(item)):
            zero = self.code.text(0.0)
            if span[2] > 1:  # it comes from the last turn only
                carried = {
                    target: Native(self.code, [*[zero] * (span[2] - 1), value.texts[-1]])
                    for target, value in carried.items()
                }
            self.sums[item] = {}

            def turn(later: dict[Any, Native]) -> dict[Any, Native]:
                self.adjoint.update(later)
                for inside in reversed(item.items):
                    self.go_backward(inside)
                none = Native(self.code, [self.code.text(0.0)])
                return {target: self.adjoint_before.pop(target, none) for target in later}

            carried = self.repeat(item, span, carried, turn, down=True)
            for access, _, total in self.sums.pop(item).values():
                self.flow(access.outer(), item.path, total)
        for target, access in item.carried.items():
            if target in carried and self.nest.program.is_active((VALUE, access.base)):
                self.flow(access, item.path, carried[target])

    def pass_on(self, statement: Statement) -> None:
        """The chain rule at one statement."""
        gradient = self.adjoint.pop(statement, None)
        path = statement.path
        if not any(statement.active):
            return
        if statement.adjoint == "always":
            gradient = self.plus(gradient, self.load(statement.place, path, adjoint=True))
        if gradient is None:
            return
        needed, with_out = statement.needs
        unused = Native(self.code, ["poison"])
        operands: list[Any] = []
        for i, read in enumerate(statement.reads):
            operands.append(read.fixed if read.fixed is not None else self.load(read, path) if i in needed else unused)
        operands.append(self.load(statement.place, path) if with_out else unused)
        for read, partial, active in zip(statement.reads, self.nest.partials(statement), statement.active, strict=True):
            if active:
                slope = partial(*operands)
                one = abs(slope) if type(slope) is float else None
                flow = slope * gradient if one != 1.0 else gradient if slope > 0.0 else -gradient
                self.flow(read, path, flow)

    def plus(self, a: Any, b: Any) -> Any:
        if a is None or b is None:
            return b if a is None else a
        return a + b

    def flow(self, access: Access, path: Path, value: Native) -> None:
        """Add to the derivative by what is read there."""
        target = access.target
        if self.side:
            loop, count = self.side
            if not access.steps[len(loop.path)]:
                parts = value.texts if len(value.texts) > 1 else value.texts * count
                total: Any = Native(self.code, parts[:1])
                for part in parts[1:]:
                    total = total + Native(self.code, [part])
                value = total
            elif len(value.texts) == 1:
                value = Native(self.code, value.texts * count)
        if self.nest.strict:
            self.add_to_memory(access, path, value)
        elif access.how == "here" and target.path == path:
            self.adjoint[target] = self.plus(self.adjoint.get(target), value)
        elif access.how == "before" and target.path == path:
            self.adjoint_before[target] = self.plus(self.adjoint_before.get(target), value)
        elif access.how == "after" and target.path[:-1] == path:
            self.adjoint_after[target] = self.plus(self.adjoint_after.get(target), value)
        elif len(path) > 1 and not access.steps[-1] and not self.nest.meets(access, path, path[-1]):
            self.add_up(access, path[-1], value)
        else:
            self.add_to_memory(access, path, value)

    def add_up(self, access: Access, loop: Loop, value: Native) -> None:
        sums = self.sums[loop]
        key = (access.key, access.how)
        if key not in sums:
            single = not isinstance(self.turns[loop], str)
            if single:
                sums[key] = [access, None, value]
                return
            phi = Native(self.code, [self.code.label("%s") for _ in value.texts])
            sums[key] = [access, phi, phi]
        sums[key][2] = sums[key][2] + value

    def add_to_memory(self, access: Access, path: Path, value: Native) -> None:
        code, space, layout = self.code, access.space, self.layout
        kind = code.type
        pointer = "%adjoints" if space == VALUE else f"%g{space}"
        texts = value.texts
        if not layout.is_vector(space) and layout.width < layout.lanes:
            kind = f"<{layout.width} x double>"
            texts = [self.narrow(text) for text in texts]
        for i, at in enumerate(self.addresses(pointer, kind, access, path)):
            old = code.put(f"load {kind}, ptr {at}, align 8")
            text = texts[i if len(texts) > 1 else 0]
            new = code.put(f"fadd {code.flags}{kind} {old}, {text}")
            code.lines.append(f"  store {kind} {new}, ptr {at}, align 8")

    def narrow(self, x: str) -> str:
        """The sum of the registers that a vector takes."""
        code, width = self.code, self.layout.width
        kind = f"<{width} x double>"
        parts = []
        for start in range(0, code.lanes, width):
            which = ", ".join(f"i32 {i}" for i in range(start, start + width))
            parts.append(code.put(f"shufflevector {code.type} {x}, {code.type} poison, <{width} x i32> <{which}>"))
        total = parts[0]
        for part in parts[1:]:
            total = code.put(f"fadd {code.flags}{kind} {total}, {part}")
        return total


def last_turn(statement: Statement) -> Access:
    """Where its number of the last turn of its loop is, seen from around the loop."""
    loop = statement.path[-1]
    return Access(VALUE, statement.base + loop.size * (loop.count - 1), statement.steps[:-1])
