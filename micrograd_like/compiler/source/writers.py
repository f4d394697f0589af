"""Equations as text and as Python, with letters for their indices; and what it took to compile."""

import ctypes
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count
from typing import Any

from ...byhand.expression import Expression
from ...byhand.tidy import Part
from ...byhand.writing import _SERIES, TEXT, Python, Text
from ...engine import Value
from ...ops import ATOM, TABLE, Op
from ..lowering import simd
from ..nest import Loop, Nest, Statement
from ..trace import ARGUMENT, PARAMETER
from .equations import Equation, For, Index, Item, Name, Series, _equations, _indexed
from .reading import Inputs, _argument_names, _Forward
from .sweep import _Reverse

WIDTH = 100  # columns


SHOWN = 80  # lines that are printed; .text has all


class _Letters:
    """Letters for the indices of one equation."""

    def __init__(self, outer: dict[Index, str], part: Part):
        self.of = dict(outer)
        stack: list[tuple[Part, tuple[str, ...]]] = [(part, tuple(outer.values()))]
        while stack:
            part, used = stack.pop()
            if isinstance(part, Expression):
                if isinstance(part.op, Series):
                    over = part.op.over
                    self.of[over] = letter(over.wish, used)
                    used = (*used, self.of[over])
                stack += [(x, used) for x in part.operands]

    def __getitem__(self, v: Index) -> str:
        return self.of[v]


def letter(wish: str, taken: Iterable[str]) -> str:
    """The letter that is wished for, or another that is free."""
    return next(x for x in chain(wish, "jkmnpqr", (f"i{n}" for n in count(1))) if x not in taken)


class _Text(Text):
    """Unicode: z2[j] = b2[j] + Σ_{i=1…16} w2[i,j] f1[i]."""

    def __init__(self, letters: _Letters, by: Callable[[str], str]):
        self.letters, self.by = letters, by

    def name(self, name: str) -> str:
        if not isinstance(name, Name):
            return name
        stem = self.by(name.stem[1:]) if name.stem[:1] == "∂" else name.stem
        return _indexed(stem, name.at, self.letters.__getitem__)

    def _operation(self, op: Op, operands: tuple[Any, ...], parts: list[Any]) -> Any:
        if op.name in ("add", "sub", "neg"):  # Σ ends where its product does
            parts = [(text, self.binds(TABLE["div"]) if binds == _SERIES else binds) for text, binds in parts]
        return super()._operation(op, operands, parts)

    def operation(self, op: Op, texts: list[str], operands: tuple[Any, ...]) -> str:
        if isinstance(op, Series):
            return f"Σ_{{{self.letters[op.over]}={op.over.first}…{op.over.last}}} {texts[0]}"
        return super().operation(op, texts, operands)


class _Python(Python):
    """Python: names with indices are dicts."""

    def __init__(self, letters: _Letters):
        self.letters = letters

    def name(self, name: str) -> str:
        if not isinstance(name, Name):
            return name
        return _indexed(_spelled(name.stem), name.at, self.letters.__getitem__)

    def binds(self, op: Op) -> float:
        return ATOM if isinstance(op, Series) else super().binds(op)

    def operation(self, op: Op, texts: list[str], operands: tuple[Any, ...]) -> str:
        if isinstance(op, Series):
            over = op.over
            return f"sum({texts[0]} for {self.letters[over]} in range({over.first}, {over.last + 1}))"
        return super().operation(op, texts, operands)


def _spelled(stem: str) -> str:
    """As Python has it: d_w is ∂L/∂w."""
    return f"d_{stem[1:]}" if stem[:1] == "∂" else stem


class Source:
    """The equations of compiled code. Printed, they are Unicode text, of which the first lines are shown.

    text: all of them. python: the same as Python, of which names with indices are dicts, and functions those of the
    table. inputs: what the numbers of each argument and of the parameters are called, in their order. Of what is
    batched, they are for one sample.
    """

    def __init__(
        self,
        nest: Nest,
        f: Any,
        parameters: Sequence[Value],
        shapes: Sequence[Any],
        wanted: Iterable[int],
        note: str = "",
    ):
        wanted = list(wanted)
        self.note = note
        names = Inputs(f, parameters, shapes)
        forward = _Forward(nest, names, gradient=bool(wanted))
        self.forward = forward.items()
        self.constants, self._constant = forward.constants, names.constant
        self.inputs = {space - ARGUMENT: places for space, places in names.places.items() if space != PARAMETER}
        self.parameters = names.places[PARAMETER]
        leaves: dict[str, list[tuple[int, ...]]] = {}
        for space in wanted:
            for stem, index in names.places[space]:
                leaves.setdefault(stem, []).append(index)
        boxes = {
            stem: tuple((min(column), max(column)) for column in zip(*rows, strict=True))
            for stem, rows in leaves.items()
        }
        self._leaves = set(leaves)
        self._loss = next(_equations(self.forward[-1:])).name
        reverse = _Reverse(self.forward, boxes) if wanted else None
        self.reverse = reverse.written_out() if reverse else []

    @property
    def text(self) -> str:
        """All lines."""
        lines = _written(self.forward, {}, lambda letters: _Text(letters, self._by), "")
        if self.constants:
            shown = [f"{self._constant}[{n}] = {TEXT.number(x)}" for n, x in self.constants.items()]
            lines.insert(0, ", ".join(shown if len(shown) < 5 else [*shown[:3], "…", shown[-1]]))
        if self.note:
            lines.insert(0, self.note)
        if self.reverse:
            lines += ["", "in reverse"]
            lines += _written(self.reverse, {}, lambda letters: _Text(letters, self._by), "")
        return "\n".join(lines)

    def _by(self, stem: str) -> str:
        """δ2 for z2, as in the lecture; δ_f2 for f2; ∂L/∂w for an input."""
        if stem in self._leaves:
            return f"∂{self._loss}/∂{stem}"
        return f"δ{stem[1:]}" if stem[0] == "z" else f"δ_{stem}"

    @property
    def python(self) -> str:
        """The equations as statements of Python."""
        made = {e.name.stem: e.adds for e in _equations([*self.forward, *self.reverse]) if e.name.at or e.adds}
        lines = [f"{_spelled(stem)} = {'defaultdict(float)' if adds else '{}'}" for stem, adds in made.items()]
        if self.constants:
            lines.append(f"{self._constant} = {self.constants!r}")
        lines += _written_python(self.forward, {}, "")
        lines += _written_python(self.reverse, {}, "")
        return "\n".join(lines)

    def __str__(self) -> str:
        lines = self.text.split("\n")
        if len(lines) > SHOWN:
            lines[SHOWN - 1 :] = [f"… and {len(lines) - SHOWN + 1:,} more lines; .text has them all"]
        return "\n".join(lines)

    __repr__ = __str__


def _written(items: list[Item], outer: dict[Index, str], style: Any, indent: str) -> list[str]:
    lines: list[str] = []
    for item in items:
        if isinstance(item, Equation):
            own = style(_Letters(outer, item.expression))
            sign = "+=" if item.adds else "="
            target = own.name(item.name)
            lines += _wrapped(f"{indent}{target} {sign} {own.write(item.expression)}")
            continue
        heads, inside, inner = [], item, dict(outer)
        while True:
            over = inside.over
            inner[over] = letter(over.wish, inner.values())
            ends = (over.last, over.first) if inside.down and over.wish == "t" else (over.first, over.last)
            heads.append(f"{inner[over]} = {ends[0]} … {ends[1]}")
            if len(inside.items) != 1 or not isinstance(inside.items[0], For):
                break
            inside = inside.items[0]
        body = _written(inside.items, inner, style, indent + "    ")
        one = f"{body[0][4:]}      ({', '.join(heads)})" if len(body) == 1 else ""
        if one and len(one) <= WIDTH:
            lines.append(one)
        else:
            lines += [f"{indent}for {', '.join(heads)}", *body]
    return lines


def _wrapped(line: str) -> list[str]:
    """In lines of WIDTH columns, broken before a sign where that is possible."""
    lines = []
    indent = " " * (len(line) - len(line.lstrip()) + 8)
    while len(line) > WIDTH:
        at = max(line.rfind(" + ", len(indent), WIDTH), line.rfind(" - ", len(indent), WIDTH))
        at = at if at > WIDTH // 2 else line.rfind(" ", len(indent), WIDTH)
        if at <= len(indent):
            break
        lines.append(line[:at])
        line = indent + line[at + 1 :]
    return [*lines, line]


def _written_python(items: list[Item], outer: dict[Index, str], indent: str) -> list[str]:
    lines: list[str] = []
    for item in items:
        if isinstance(item, Equation):
            style = _Python(_Letters(outer, item.expression))
            sign = "+=" if item.adds else "="
            lines.append(f"{indent}{style.name(item.name)} {sign} {style.write(item.expression)}")
        else:
            over = item.over
            name = letter(over.wish, outer.values())
            turns = f"{over.last}, {over.first - 1}, -1" if item.down else f"{over.first}, {over.last + 1}"
            lines.append(f"{indent}for {name} in range({turns}):")
            lines += _written_python(item.items, {**outer, over: name}, indent + "    ")
    return lines


def shape(items: Sequence[Loop | Statement]) -> str:
    """The nest as numbers of operations: for 16 { 2 for 15 { 2 } 1 }"""
    parts: list[str] = []
    run = 0
    for item in [*items, None]:
        if isinstance(item, Statement):
            run += 1
            continue
        parts += [str(run)] if run else []
        run = 0
        if item is not None:
            parts.append(f"for {item.count} {{ {shape(item.items)} }}")
    return " ".join(parts)


def report(ready: Any) -> str:
    """What was made of a function, and at which cost."""
    kernel, compiled = ready.kernel, ready.compiled
    program = kernel.program
    names = _argument_names(compiled.f, len(ready.sizes))
    workspace = kernel.workspace()
    room = sum(map(ctypes.sizeof, workspace._kept))
    kernel.release(workspace)
    chunks = [shape(chunk.items) for chunk in kernel.nest.chunks]
    loops = " | ".join(chunks)
    write = ready.seconds - ready.trace_seconds - kernel.fold_seconds
    how = {"mean": "their mean", "sum": "their sum", None: "each by itself"}[compiled.reduce]
    samples = ", ".join(names[i] for i in ready.batched)
    rows = {
        "operations": f"{program.recorded:,} recorded, {len(program.rows):,} kept, {kernel.terms:,} written down with "
        f"their loops, in {len(chunks):,} function{'s' if len(chunks) > 1 else ''}",
        "loops": loops if len(loops) <= 400 else f"{loops[:400]} …",
        "samples": f"{samples}, {how}" if samples else "one at a time",
        "lanes": f"{kernel.lanes} at once, in registers of {simd()}",
        "numbers": "strict: as eager code, bit for bit" if compiled.strict else "fused, sums in any order",
        "functions": "of vectors from glibc" if "_ZGV" in kernel.ir else "none of glibc's for vectors",
        "workspace": f"{room:,} bytes",
        "seconds": f"{ready.trace_seconds:.3f} to trace, {kernel.fold_seconds:.3f} to fold, {write:.3f} to write and "
        "compile",
    }
    return "\n".join([f"{compiled.name}({', '.join(names)})", *(f"{key:<11}{row}" for key, row in rows.items())])
