"""`micrograd-like check`: a network and gradients derived by hand, both as text, compared."""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, pairwise
from textwrap import fill
from typing import Any, BinaryIO

from .byhand.comparison import Comparison, compare
from .byhand.formula import FUNCTION_NAMES, LONGEST, FormulaError, Names, Parser, canonical, indices, parse
from .byhand.given import gradient_by
from .engine import Value
from .ops import DomainError, apply
from .walks import topological


def chain_text(depth: int) -> str:
    """The network of `lecture.chain` as text."""
    lines = []
    f = "x"
    for i in range(1, depth + 1):
        lines += [f"z{i} = w{i} {f}", f"f{i} = tanh(z{i})"]
        f = f"f{i}"
    return "\n".join([*lines, f"Loss = (y - {f})²"])


def read(file: BinaryIO, where: str, longest: int = LONGEST) -> str:
    """The text in a file. Raises ValueError if it has more than `longest` characters, or is no text."""
    content = file.read(4 * longest + 1)  # no character takes more than 4 bytes
    try:
        text = content.decode("utf-8-sig") if len(content) <= 4 * longest else None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{where}, line {line}: not UTF-8 text; save it as UTF-8") from None
    if text is None or len(text) > longest:
        raise ValueError(f"{where} has more than {longest} characters, which is all that is read; shorten it")
    return text


class Network:
    """The graph of a text of lines `name = expression`, the last of which is the loss, at one point.

    A line without names, like `w1 = 0.8`, gives a leaf its number; a name that no line defines is a leaf as well.
    Lines use what stands above them, so that there are no cycles.

    where: what messages call the text. at: numbers of leaves, which go before those in the text; leaves that have
    none get random ones.

    lines: those that compute something. nodes: all by name. loss: the last node.

    Raises ValueError for what cannot be read or computed.
    """

    def __init__(self, text: str, where: str, at: Mapping[str, float], seed: int):
        self.where = where
        self.lines: list[str] = []
        self.nodes: dict[str, Value] = {}
        self._names = Names(())
        self._defined: dict[str, int] = {}
        self._at = {canonical(name): number for name, number in at.items()}
        self._random = _general_position(seed)
        for i, line in enumerate(text.splitlines(), 1):
            with _place(f"{where}, line {i}"):
                for statement in re.split(r";|\\\\", line.split("#")[0]):
                    if statement.strip():
                        self._define(statement, i)
        if not self._defined:
            raise ValueError(f"{where} has no line: write name = expression, and the loss last")
        *_, last = self._defined
        self.loss = self.nodes[last]
        self._refuse_misspelled(at)

    def _define(self, statement: str, line: int) -> None:
        parser = Parser(statement, self._names)
        self._admit_leaves(parser)
        target, expression = parser.line()
        tokens = Parser(target, self._names).tokens
        if len(tokens) != 2 or not _is_name(*tokens[0][:2]):
            reason = f"{target!r} cannot be the name of a node" if target else "there is no name before '='"
            raise ValueError(f"{reason}; a line is name = expression")
        name = _written(tokens[0][1])
        for known in self._same(name):
            if known in self._defined:
                raise ValueError(f"{name} is defined already, on line {self._defined[known]}; choose another name")
            if known in self.nodes:
                raise ValueError(
                    f"{name} is used above the line that defines it; move this line up, or break the cycle"
                )
            raise ValueError(f"{name} is computed from itself; choose another name before '='")
        try:
            node = self._computed(expression)
        except DomainError as error:
            raise ValueError(f"{error}; choose another point with --at or --seed") from None
        if isinstance(node, float):
            node = Value(self._at.get(canonical(name), node))
        else:
            self.lines.append(" ".join(statement.split()))
            if node.name:
                node = node * 1.0  # the line only renames, and a node has one name
        if not math.isfinite(node.data):
            raise ValueError(f"{name} is {node.data} here; choose another point with --at or --seed")
        node.name = name
        self.nodes[name] = node
        self._names.add(name)
        self._defined[name] = line

    def _admit_leaves(self, parser: Parser) -> None:
        """Let a line use the names in it that nothing above defines, unless they are meant for something else."""
        for (kind, token, column), (_, following, _) in pairwise(parser.tokens):
            key = canonical(token)
            given = key in self._at
            if self._same(token) or not _is_name(kind, token) or (key in {"e", "π"} and not given):
                continue
            if following == "(" and not given:  # or else tahn(z) would be a leaf times z
                problem = f"there is no function {token!r}; the product of a leaf is written {token} * (…)"
                raise FormulaError(problem, parser.text, column)
            self._names.add(_written(token))

    def _same(self, name: str) -> list[str]:
        """The known names that are this one in another spelling. w_{1,12} is not w_{11,2}, but w112 may be either."""
        own = indices(name)
        return [
            known
            for known in self._names.find(name)
            if indices(known) == own or len(own) < 2 or len(indices(known)) < 2
        ]

    def _computed(self, expression: Any) -> Any:
        """The node of an expression; a float if it has no names."""
        if isinstance(expression, float):
            return expression
        return expression._fold(self._node, float, lambda op, operands, results: apply(op, tuple(results)))

    def _node(self, name: str) -> Value:
        if name not in self.nodes:
            drawn = next(self._random)  # also if not needed: giving one leaf a number moves no other
            self.nodes[name] = Value(self._at.get(canonical(name), drawn), name)
        return self.nodes[name]

    def _refuse_misspelled(self, at: Mapping[str, float]) -> None:
        """Raise ValueError for lines and numbers in which the loss has no part: most are misspelled."""
        if self.loss.op is None:
            raise ValueError(f"{self.where}: the last line, {self.loss.name}, is the loss and has to be computed")
        parts = set(topological(self.loss))
        for name, line in self._defined.items():
            if self.nodes[name] not in parts:
                problem = f"{self.loss.name}, the last line, does not depend on {name}"
                raise ValueError(f"{self.where}, line {line}: {problem}; use it below or remove it")
        leaves = Names(leaf.name for leaf in self._leaves())
        for name in at:
            if not leaves.find(name):
                computed = self._names.find(name)
                problem = "it is computed, and only leaves are given numbers" if computed else leaves.unknown(name)
                raise ValueError(f"--at {name}: {problem}")

    def _leaves(self) -> list[Value]:
        return [node for node in self.nodes.values() if node.op is None]

    def __str__(self) -> str:
        point = " ".join(f"{leaf.name}={leaf.data!r}" for leaf in self._leaves())
        return "\n".join(
            [
                f"{self.loss.name} of {self.where}:",
                *(f"    {line}" for line in self.lines),
                fill(f"at  {point}", 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False),
            ]
        )


def check(network: Network, formulas: Sequence[str], of: str | None = None) -> Comparison:
    """Compare the lines of the formulas, of which earlier ones serve later ones, with the network's gradients.

    of: the node by which the last line is the gradient; without it, targets such as `dw1` say so.

    Raises ValueError for what cannot be read, and for lines that `compare` would pass over, since a misspelled
    gradient that is not compared must not look like one that agrees.
    """
    graph = Names(network.nodes)
    if of is not None and not graph.find(of):
        raise ValueError(f"--of {of}: {graph.unknown(of)}")
    names = Names(network.nodes)
    lines: list[tuple[str, str]] = []
    used: set[str] = set()
    for i, text in enumerate(formulas, 1):
        place = f"formula {i}" if len(formulas) > 1 else "the formula"
        with _place(place):
            for target, expression in parse(text, names.exact):
                names.add(target)
                lines.append((place, target))
                used.update(() if isinstance(expression, float) else expression.names())
    whole = "\n".join(formulas)
    if of is None:
        _refuse_unnoticed(lines, used, graph, network.loss.name)
        return compare(network.loss, whole)
    place, target = lines.pop()
    if target:
        raise ValueError(f"{place}: with --of {of} the last line has no '=', but it begins {target!r}")
    _refuse_unnoticed(lines, used, None, network.loss.name)
    return compare(network.loss, {network.nodes[graph.find(of)[0]]: whole})


def _refuse_unnoticed(lines: list[tuple[str, str]], used: set[str], graph: Names | None, loss: str) -> None:
    """Raise ValueError for a line that serves no later one and, if they count, gives no gradient of the graph."""
    given: dict[str, str] = {}
    for place, target in lines:
        if not target:
            raise ValueError(f"{place}: a line does not say what it is: begin it with dw = for the gradient by w")
        nodes = [] if graph is None else graph.find(gradient_by(target, graph.exact, loss))
        if nodes and nodes[0] in given:
            raise ValueError(f"{place}: {target!r} and {given[nodes[0]]!r} are one gradient; check one at a time")
        if nodes:
            given[nodes[0]] = target
        elif target not in used:
            cure = "use it or remove it" if graph is None else f"as a gradient it has an {graph.unknown(target)}"
            raise ValueError(f"{place}: no line uses {target!r}; {cure}")


def _is_name(kind: str, token: str) -> bool:
    """Whether a token can name a node: a word, or the LaTeX command of a Greek letter, that is no function."""
    key = canonical(token)
    named = kind == "name" or (kind == "command" and not key.isascii())
    return named and not {token, key} & FUNCTION_NAMES


def _written(name: str) -> str:
    return canonical(name) if name.startswith("\\") else name


def _general_position(seed: int) -> Iterator[float]:
    """Numbers from ±0.5 to ±1.5, none ±1 and a hundred of different size, so that no wrong factor goes unseen."""
    rng = random.Random(seed)
    sizes = rng.sample([size for size in range(50, 151) if size != 100], 100)
    return (rng.choice((-1, 1)) * size / 100 for size in cycle(sizes))


@contextmanager
def _place(place: str) -> Iterator[None]:
    """Say where it was that something is wrong."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
