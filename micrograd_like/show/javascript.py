"""The table of operations in JavaScript, translated from the source of `ops`, for pages that recompute a graph.

`ops.py` is written in a small part of Python: arithmetic, comparisons, conditions, calls, and functions of them.
That much is translated, one to one; anything else raises NotImplementedError and names the line. The two languages
differ in four places. Python raises where IEEE 754 has an answer; JavaScript gives the answer, so of a `try` the body
is all there is. nan counts as true in Python. Python's `max`, `min` and `%` have rules of their own. And as all
numbers are floats in JavaScript, `type(x) is float` holds.

What `ops.py` takes from Python's math comes from the object `math` of `page/math.js`, which has to be loaded first.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

from .. import ops

LOOSE, OR, AND, COMPARISON, SUM, PRODUCT, MINUS, CALL = range(8)  # how tightly JavaScript binds
ARITHMETIC: dict[type, tuple[str, int]] = {
    ast.Add: ("+", SUM),
    ast.Sub: ("-", SUM),
    ast.Mult: ("*", PRODUCT),
    ast.Div: ("/", PRODUCT),
}
COMPARISONS: dict[type, str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "===",
    ast.NotEq: "!==",
}
GIVEN = {  # what is there in Python without a definition; a $ is in no name of Python's
    "abs": "Math.abs",
    "max": "(...xs) => xs.reduce((a, b) => b > a ? b : a)",
    "min": "(...xs) => xs.reduce((a, b) => b < a ? b : a)",
    "mod$": "(a, b) => { const r = a % b; return r === 0 ? math.copysign(0, b) : r < 0 !== b < 0 ? r + b : r; }",
}
OPERATOR = {"add": "(a, b) => a + b", "sub": "(a, b) => a - b", "mul": "(a, b) => a * b", "neg": "(a) => -a"}
RESERVED = (  # a name that is one of these gets a $, so that it means nothing else
    "Infinity Math NaN Number arguments await case catch const debugger default delete do enum eval export extends "
    "function implements instanceof interface let math new null package private protected public row static super "
    "switch this throw typeof undefined var void"
)
ROW = (
    "const row = (value, partials, how) => "
    '({...how, value, partials: partials.map(p => typeof p === "function" ? p : () => p), '
    "passes: partials.map(p => p !== 0)});"
)


def table() -> str:
    """JavaScript that defines `TABLE` and `FUNCTIONS`.

    TABLE holds the rows that `ops.py` has, in their order, by name: `{name, arity, symbol, precedence, commutative,
    public, value, partials, passes}`, and `slopes` where all partials are constant. `value(...operands)` and
    `partials[i](...operands, out)` take and give numbers and never throw; outside the domain they are NaN. FUNCTIONS
    holds the functions users call, by name: the list of numbers that stand for last operands which are left out.

    The same table gives the same text. Raises NotImplementedError for what has no translation.
    """
    definitions, rows = _of_ops()
    lines = [f"  {line}" for line in (*definitions, ROW, "return {")]
    for name, op in ops.TABLE.items():
        if name not in rows:
            continue  # of a user, not of ops.py
        how: dict[str, Any] = {field: getattr(op, field) for field in ("name", "arity", "symbol")}
        how |= {"precedence": op.precedence, "commutative": op.commutative, "public": name in ops.FUNCTIONS}
        how |= {"slopes": op.slopes} if op.slopes else {}
        lines.append(f"    {json.dumps(name)}: row({rows[name]}, {json.dumps(how)}),")
    defaults = {name: function.__defaults__ or () for name, function in ops.FUNCTIONS.items() if name in rows}
    head, foot = "const TABLE = (() => {", f"  }};\n}})();\nconst FUNCTIONS = {json.dumps(defaults)};\n"
    return "\n".join((head, *lines, foot))


def rows() -> frozenset[str]:
    """The names of the rows in the table."""
    return frozenset(_of_ops()[1])


@cache
def _of_ops() -> tuple[list[str], dict[str, str]]:
    return translate(inspect.getsource(ops))


@cache
def _math() -> frozenset[str]:
    """The names in JavaScript's `math`: what page/math.js returns at its end."""
    source = (files(__package__) / "page" / "math.js").read_text(encoding="utf-8")
    return frozenset(re.findall(r"\w+", source[source.rindex("return {") + 8 :]))


def translate(source: str) -> tuple[list[str], dict[str, str]]:
    """The source of a table in JavaScript: definitions, one a line, and by the name of each row "value, [partials]".

    Only what rows use is looked at; the rest of the source may be any Python.
    """
    return _Translator(source).result()


class _Translator:
    """One source. Names stay what they are, and so do the scopes; `defined` grows as names are found to be used."""

    def __init__(self, source: str):
        self.source: dict[str, ast.stmt] = {}  # what defines each name of the module
        self.modules: set[str] = set()
        self.rows: dict[str, tuple[ast.Name, list[ast.expr]]] = {}  # by name: its function, and its partials
        self.defined: dict[str, tuple[int, str]] = {}  # by name: the line it is from, and its text
        self.local: frozenset[str] = frozenset()
        for node in ast.parse(source).body:
            match node:
                case ast.Import(names=names):
                    self.modules |= {alias.name for alias in names if alias.asname is None}
                case ast.ImportFrom(names=names):
                    self.source |= {alias.asname or alias.name: node for alias in names}
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    self.source[name] = node
                case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                    self.source[name] = node
                    match value:
                        case ast.Call(func=ast.Name(id="row"), args=[ast.Constant(value=str() as row), _, *partials]):
                            self.rows[row] = target, partials

    def result(self) -> tuple[list[str], dict[str, str]]:
        rows = {row: f"{self.list([name])}, [{self.list(partials)}]" for row, (name, partials) in self.rows.items()}
        return [text for _, text in sorted(self.defined.values())], rows

    # ---- names -----------------------------------------------------------------------------------------------

    def name(self, node: ast.AST, name: str) -> str:
        """The name in JavaScript; what it stands for is translated as well, unless it is local."""
        text = f"{name}$" if name in RESERVED.split() else name
        if name not in self.local and name not in self.defined:
            self.defined[name] = 0, ""  # functions may use themselves, and one another
            local, self.local = self.local, frozenset()
            self.defined[name] = self.definition(node, name, text)
            self.local = local
        return text

    def definition(self, used: ast.AST, name: str, text: str) -> tuple[int, str]:
        """The line that defines a name of the module, and its text."""
        if name not in self.source and name in GIVEN:
            return 0, f"const {name} = {GIVEN[name]};"
        match node := self.source.get(name, used):
            case ast.FunctionDef():
                return node.lineno, self.statement(node)
            case ast.ImportFrom(module="math", names=names):
                original = next(alias.name for alias in names if name in {alias.asname, alias.name})
                return node.lineno, f"const {text} = {self.attribute(node, 'math', original)[0]};"
            case ast.Assign(value=ast.Call(func=ast.Name(id="row"), args=[_, value, *_])) | ast.Assign(value=value):
                return node.lineno, f"const {text} = {self.expression(value)};"
        raise _refused(node, name)

    def attribute(self, node: ast.AST, module: str, name: str) -> tuple[str, int]:
        if module == "math" and name in _math():
            return f"math.{name}", CALL
        if module == "operator" and name in OPERATOR:
            return OPERATOR[name], LOOSE
        raise _refused(node, f"{module}.{name}")

    @contextmanager
    def scope(self, node: ast.Lambda | ast.FunctionDef) -> Iterator[tuple[str, list[str]]]:
        """Inside of a function: its parameters, and the other names that it assigns to."""
        if ast.unparse(node.args) != ", ".join(ast.unparse(a) for a in node.args.args):
            raise _refused(node)  # a default, a star
        parameters = [argument.arg for argument in node.args.args]
        inside = list(_inside(node))
        stored = [n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        functions = [n.name for n in inside if isinstance(n, ast.FunctionDef)]
        outside, self.local = self.local, self.local.union(parameters, stored, functions)
        others = [self.name(node, name) for name in dict.fromkeys(stored) if name not in parameters]
        yield ", ".join(self.name(node, parameter) for parameter in parameters), others
        self.local = outside

    # ---- statements --------------------------------------------------------------------------------------------

    def block(self, nodes: Iterable[ast.stmt]) -> str:
        return " ".join(filter(None, map(self.statement, nodes)))

    def statement(self, node: ast.stmt) -> str:
        match node:
            case ast.FunctionDef(name=name, body=body, decorator_list=[]):
                with self.scope(node) as (parameters, others):
                    let = f"let {', '.join(others)}; " if others else ""
                    text = f"({parameters}) {{ {let}{self.block(body)} }}"
                return f"function {self.name(node, name)}{text}"
            case ast.Return(value=ast.expr() as value):
                return f"return {self.expression(value)};"
            case ast.Assign(targets=[ast.Name() | ast.Tuple() as target], value=value):
                return f"{self.expression(target)} = {self.expression(value)};"
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                return f"{self.expression(target)} = {self.expression(value)};"
            case ast.AugAssign(target=ast.Name() as target, op=op, value=value) if type(op) in ARITHMETIC:
                return f"{self.expression(target)} {ARITHMETIC[type(op)][0]}= {self.expression(value)};"
            case ast.If(test=condition, body=body, orelse=otherwise):
                test, _ = self.test(condition)
                if test in {"true", "false"}:
                    return self.block(body if test == "true" else otherwise)
                tail = f" else {{ {self.block(otherwise)} }}" if otherwise else ""
                return f"if ({test}) {{ {self.block(body)} }}{tail}"
            case ast.Try(body=body, orelse=[], finalbody=[]):
                return self.block(body)
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                return ""
        raise _refused(node)

    # ---- expressions -------------------------------------------------------------------------------------------

    def expression(self, node: ast.expr, tightness: int = LOOSE) -> str:
        """The text of a value, in parentheses if it binds less tightly than that."""
        return _within(tightness, self.value(node))

    def value(self, node: ast.expr) -> tuple[str, int]:
        """The text of a value, and how tightly it binds."""
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return repr(number).replace("inf", "Infinity"), CALL
            case ast.Name(id=name):
                return self.name(node, name), CALL
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self.modules - self.local:
                return self.attribute(node, module, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"-{self.expression(operand, CALL)}", MINUS
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                return f"{self.name(node, 'mod$')}({self.list([left, right])})", CALL
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                sign, own = ARITHMETIC[type(op)]
                return f"{self.expression(left, own)} {sign} {self.expression(right, own + 1)}", own
            case ast.Call(func=function, args=arguments, keywords=[]):
                return f"{self.expression(function, CALL)}({self.list(arguments)})", CALL
            case ast.Tuple(elts=elements):
                return f"[{self.list(elements)}]", CALL
            case ast.IfExp(test=condition, body=body, orelse=otherwise):
                test, _ = self.test(condition)
                if test in {"true", "false"}:
                    return self.value(body if test == "true" else otherwise)
                return f"{test} ? {self.expression(body, OR)} : {self.expression(otherwise)}", LOOSE
            case ast.BoolOp(op=op, values=[first, *others]):  # one of the operands, in Python
                rest = ast.BoolOp(op, others) if others[1:] else others[0]
                chosen = (rest, first) if isinstance(op, ast.And) else (first, rest)
                return self.value(ast.IfExp(first, *chosen))
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return f"Number({self.test(node)[0]})", CALL
            case ast.Lambda(body=body):
                with self.scope(node) as (parameters, _):
                    return f"({parameters}) => {self.expression(body)}", LOOSE
        raise _refused(node)

    def list(self, nodes: Iterable[ast.expr]) -> str:
        return ", ".join(self.expression(node) for node in nodes)

    def test(self, node: ast.expr) -> tuple[str, int]:
        """The text of a condition, and how tightly it binds; "true" or "false" where that is known."""
        match node:
            case ast.BoolOp(op=op, values=values):
                return _joined([self.test(value) for value in values], every=isinstance(op, ast.And))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                text, _ = self.test(operand)
                return {"true": "false", "false": "true"}.get(text, f"!({text})"), MINUS
            case ast.Compare(left=left, ops=signs, comparators=others):
                pairs = zip([left, *others], signs, others, strict=False)
                return _joined([self.comparison(node, *pair) for pair in pairs], every=True)
        return f"{self.expression(node, SUM)} !== 0", COMPARISON  # true for nan

    def comparison(self, node: ast.AST, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> tuple[str, int]:
        match left, sign, right:
            case ast.Call(func=ast.Name(id="type")), ast.Is() | ast.IsNot(), ast.Name(id="float"):
                return "true" if isinstance(sign, ast.Is) else "false", CALL
            case _, ast.In() | ast.NotIn(), ast.Set(elts=elements) | ast.Tuple(elts=elements):
                inside = f"[{self.list(elements)}].includes({self.expression(left)})"
                return (inside, CALL) if isinstance(sign, ast.In) else (f"!{inside}", MINUS)
        if type(sign) not in COMPARISONS:
            raise _refused(node)
        return f"{self.expression(left, SUM)} {COMPARISONS[type(sign)]} {self.expression(right, SUM)}", COMPARISON


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """What a function consists of, without the insides of functions in it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield from _inside(child)


def _within(tightness: int, part: tuple[str, int]) -> str:
    text, own = part
    return text if own >= tightness else f"({text})"


def _joined(parts: list[tuple[str, int]], *, every: bool) -> tuple[str, int]:
    """Conditions joined by && (`every`) or ||, without those that are known."""
    decides, idle = ("false", "true") if every else ("true", "false")
    if any(text == decides for text, _ in parts):
        return decides, CALL
    parts = [part for part in parts if part[0] != idle]
    if len(parts) < 2:
        return parts[0] if parts else (idle, CALL)
    sign, own = (" && ", AND) if every else (" || ", OR)
    return sign.join(_within(own, part) for part in parts), own


def _refused(node: ast.AST, name: str = "") -> NotImplementedError:
    what = name or ast.unparse(node).partition("\n")[0]
    cure = "add it to page/math.js" if name.startswith("math.") else "write it another way, or add it to javascript.py"
    line = getattr(node, "lineno", "?")
    return NotImplementedError(f"ops.py, line {line}: {what} has no translation to JavaScript; {cure} in show/")
