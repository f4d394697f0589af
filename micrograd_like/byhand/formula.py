"""Formulas as people write and paste them, parsed into expressions. Nothing of them is ever executed as code."""

import re
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize

from ..ops import FUNCTIONS, TABLE
from .expression import Expression

LONGEST = 20_000  # characters
DEEPEST = 100  # parentheses and powers inside one another

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
}  # fmt: skip
_GREEK_WORD = re.compile(rf"({'|'.join(GREEK)})(?![a-zA-Z])")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
SPELLINGS = {  # other names of functions of the table
    "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2",
    "arctanh": "atanh", "ln": "log", "log_2": "log2", "log_{2}": "log2", "log_10": "log10", "log_{10}": "log10",
    "max": "maximum", "min": "minimum", "σ": "sigmoid", "ReLU": "relu",
    "heaviside": "step",
}  # fmt: skip
_DERIVED = {  # functions that people write and the table has in another form
    "sign": lambda x: Expression._record(TABLE["compare"], (x, 0.0)),
    "sech": lambda x: Expression._record(TABLE["div"], (1.0, Expression._record(TABLE["cosh"], (x,)))),
}

FUNCTION_NAMES = {*TABLE, *SPELLINGS, *_DERIVED}

_UPRIGHT = r"\\(?:mathrm|operatorname|text)\{\s*([^{}]*?)\s*\}"
_NAME = r"[^\W\d_](?:(?![⁰¹²³⁴-⁹])[^\W_]|[₀-₉]|_(?:\{[0-9a-zA-Z,\ ]*\})?)*(?:\.grad\b)?"
_TOKEN = re.compile(
    r"""(?P<bar>\\left\s*\||\\right\s*\|)
      | (?P<space>(?:\s|\\[,;:!\ ]|\\quad|\\(?:left|right)(?!\s*\||[a-zA-Z])|&)+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<superscript>[⁰¹²³⁴-⁹⁻]+)
      | (?P<upright>UPRIGHT(?:_(?:\{[0-9a-zA-Z,\ ]*\}|[0-9a-zA-Z]))?)
      | (?P<command>\\[a-zA-Z]+(?:_(?:\{[0-9a-zA-Z,\ ]*\}|[0-9a-zA-Z]))?)
      | (?P<name>NAME)
      | (?P<symbol>\*\*|[-+*/^()\[\]{},=·×÷⋅−|<>])""".replace("NAME", _NAME).replace("UPRIGHT", _UPRIGHT),
    re.VERBOSE,
)
_LAYOUT = re.compile(r"\$|\\[\[\]]|\\(?:[bB]igg?[lrm]?)(?![a-zA-Z])|\\(?:display|text)style(?![a-zA-Z])")
_FRACTION = re.compile(r"\\[dt]frac(?![a-zA-Z])")
_END = re.compile(r"(?<=[^\d\s.])\s*[.,]\s*$")  # of a sentence
_COMMENT = re.compile(r"#|^\s*%")  # a % elsewhere may be meant as an operation, which there is not
_STATEMENTS = re.compile(r";|\\\\(?:\[[\d.]+[a-z]{2}\])?|\\(?:begin|end)\{[a-z]+\*?\}")
_LAYER = re.compile(r"(_\{[\d,\ ]+\}|_\d)?\^\{\((\d+)\)\}(_\{[\d,\ ]+\}|_\d)?")
_MULTIPLY = {"*", "·", "×", "⋅", "\\cdot", "\\times"}
_DIVIDE = {"/", "÷"}
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\left|": "\\right|"}


class FormulaError(ValueError):
    """A formula that cannot be read. The message shows the line with a caret under the place."""

    def __init__(self, message: str, line: str, column: int):
        self.column = column
        start = max(0, column - 60)
        shown = "".join(c if c.isprintable() else " " for c in line[start : start + 100])
        super().__init__(f"{message}\n    {shown}\n    {' ' * (column - start)}^")


def canonical(name: str) -> str:
    r"""One spelling for δ_1, δ₁, δ1, delta1 and \delta_{1}, so that a formula finds the names of the graph."""
    return spelled(name).replace(",", "")


def spelled(name: str) -> str:
    """The canonical spelling, with commas where one index ends and the next begins: w1,12 and w11,2."""
    name = normalize("NFKC", name).lstrip("\\")  # also ₁ is 1
    if greek := _GREEK_WORD.match(name):
        name = GREEK[greek[1]] + name[greek.end() :]
    return re.sub(r"[_{},\s]", "", re.sub(r"(?<=\d)[_{},\s]+(?=\d)", "\0", name)).replace("\0", ",")


def is_name(text: str) -> bool:
    """Can a formula refer to something by this name?"""
    return bool(re.fullmatch(_NAME, text)) and not text.endswith(".grad")


def parse(text: str, names: Iterable[str]) -> list[tuple[str, Expression]]:
    r"""The lines of a formula as (target, expression); the target of a line without `=` is "".

    names: what it may refer to, apart from the targets of earlier lines. Lines are separated by line ends or by
    semicolons; `#` begins a comment, and `%` a line of it. Numbers, names, + - * / ^ and ** , juxtaposition as
    multiplication, parentheses of three kinds, comparisons in them, the functions of the table, and the same in
    Unicode (· × ² δ₁) or LaTeX (\frac, \tanh, \cdot, f_1^2, \delta_2).

    Raises FormulaError for anything else, TypeError if text is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a formula is text, not {type(text).__name__} {text!r:.60}")
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text)} characters; {LONGEST} are read at most", text[:40], 0)
    known = Names(names)
    lines = []
    statements = (part for line in re.split(r"[\n\r]", text) for part in _STATEMENTS.split(_COMMENT.split(line)[0]))
    for statement in statements:
        line = _LAYOUT.sub(lambda match: " " * len(match[0]), statement)
        line = _FRACTION.sub(r"\\frac ", _END.sub("", line))
        for written, alias in known.aliases.items():  # ∂L/∂z2 where it is used
            before, equals, after = line.rpartition("=")
            used = rf"(?<!\w){re.escape(written)}(?!\w)"
            line = before + equals + re.sub(used, alias.ljust(len(written)), after)
        if line.strip():
            target, expression = Parser(line, known).line()
            if target:
                known.add(target)
                known.alias(target, line.partition("=")[0].strip())
            lines.append((target, expression))
    if not lines:
        raise FormulaError("the formula is empty", text[:40], 0)
    return lines


def indices(name: str) -> list[str]:
    """The numbers in a name: 1, 12 of w1_12."""
    return re.findall(r"\d+", name.translate(_SUBSCRIPTS))


class Names:
    """The names a formula may use, each found under any spelling of it."""

    def __init__(self, names: Iterable[str]):
        self.exact: dict[str, None] = {}
        self.by_canonical: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        if name and name not in self.exact:
            self.exact[name] = None
            self.by_canonical.setdefault(canonical(name), []).append(name)

    def alias(self, name: str, written: str) -> None:
        """Let what stands on the left side as a fraction stand on the right side too."""
        if "/" in written or "frac" in written:
            self.aliases[written] = alias = f"ð{len(self.aliases)}"
            self.by_canonical[alias] = [name]

    def find(self, name: str) -> list[str]:
        if name in self.exact:
            return [name]
        found = self.by_canonical.get(canonical(name), [])
        if len(found) > 1:  # w_{1,12} and w_{11,2} differ only in where an index ends
            return [x for x in found if spelled(x) == spelled(name)] or found
        return found

    def unknown(self, name: str) -> str:
        from difflib import get_close_matches

        listed = list(self.exact)
        spellings = {spelled(known): known for known in listed}
        nearest = [spellings[found] for found in get_close_matches(spelled(name), spellings, 1, 0.0)]
        shown = ", ".join(listed[:30]) + (f", … ({len(listed)} in all)" if len(listed) > 30 else "")
        return f"unknown name {name!r}; there are {shown or 'none'}" + (
            f" (did you mean {nearest[0]}?)" if nearest else ""
        )


def _layer_first(match: re.Match[str]) -> str:
    """w^{(1)}_{2,3} and w_{2,3}^{(1)} are w_{1,2,3}; as long as it was, so that a caret finds its place."""
    found = [match[2], *indices((match[1] or "") + (match[3] or ""))]
    return f"_{{{','.join(found)}}}".ljust(len(match[0]))


class Parser:
    """Recursive descent over the tokens of one line."""

    def __init__(self, line: str, names: Names):
        self.text = line
        line = _LAYER.sub(_layer_first, line)
        self.names = names
        self.tokens: list[tuple[str, str, int]] = []
        self.depth = 0
        # What stands before '=' is a target: any text, such as ∂L/∂w_1.
        self.equals = line.find("=")
        self.target = line[: max(self.equals, 0)]
        position = self.equals + 1
        while position < len(line):
            match = _TOKEN.match(line, position)
            if match is None:
                cure = "; write derivatives out, as 1 - f² for tanh'(z)" if line[position] == "'" else ""
                raise FormulaError(f"cannot read {line[position]!r}{cure}", self.text, position)
            kind, token = match.lastgroup or "", match.group()
            if kind == "upright":  # \mathrm{Loss}_{1} is the name Loss_{1}
                kind, token = "name", re.sub(_UPRIGHT, lambda match: match[1].replace(r"\_", "_"), token)
            if kind == "bar":
                kind, token = "symbol", "\\left|" if token.startswith("\\left") else "\\right|"
            if kind != "space":
                self.tokens.append((kind, "-" if token == "−" else token, position))
            position = match.end()
        self.tokens.append(("end", "", len(line.rstrip())))
        self.i = 0

    def fail(self, message: str, back: int = 0) -> FormulaError:
        return FormulaError(message, self.text, self.tokens[self.i - back][2])

    def peek(self, *tokens: str) -> bool:
        return self.tokens[self.i][1] in tokens and self.tokens[self.i][0] != "end"

    def take(self, *tokens: str) -> bool:
        if self.peek(*tokens):
            self.i += 1
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.take(token):
            found = self.tokens[self.i][1]
            raise self.fail(f"expected {token!r}" + (f", found {found!r}" if found else " here"))

    def line(self) -> tuple[str, Expression]:
        target = re.sub(_UPRIGHT, lambda match: match[1].replace(r"\_", "_"), self.target)
        target = target.replace("&", "").strip()
        if self.equals >= 0 and not target:
            raise FormulaError("a name should stand before '='", self.text, self.equals)
        expression = self.sum()
        if self.tokens[self.i][0] != "end":
            raise self.fail(f"did not expect {self.tokens[self.i][1]!r} here")
        return target, expression

    def sum(self) -> Any:
        """product (+ product | - product)*"""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(f"nested more than {DEEPEST} deep")
        result = self.product()
        while self.peek("+", "-"):
            row = TABLE["add" if self.peek("+") else "sub"]
            self.i += 1
            result = Expression._record(row, (result, self.product()))
        self.depth -= 1
        return result

    def product(self) -> Any:
        """factor (* factor | / factor | factor)*: what stands side by side is multiplied"""
        result = self.signed()
        while True:
            if self.take(*_MULTIPLY):
                row, factor = TABLE["mul"], self.signed()
            elif self.take(*_DIVIDE):
                row, factor = TABLE["div"], self.signed()
            elif self.tokens[self.i][0] in ("number", "name", "command") or self.peek(*_CLOSING):
                row, factor = TABLE["mul"], self.power()
            else:
                return result
            result = Expression._record(row, (result, factor))

    def signed(self) -> Any:
        """[+ | -]* power"""
        negative = False
        while self.peek("+", "-"):
            negative ^= self.take("-")
            self.take("+")
        result = self.power()
        return Expression._record(TABLE["neg"], (result,)) if negative else result

    def power(self) -> Any:
        """atom [² | ^ exponent]; -x² is -(x²), and 2^3^2 is 2^(3^2)"""
        base = self.atom()
        exponent = self.exponent()
        return base if exponent is None else Expression._record(TABLE["pow"], (base, exponent))

    def exponent(self) -> Any:
        if self.tokens[self.i][0] == "superscript":
            text = self.tokens[self.i][1].translate(_SUPERSCRIPTS)
            if not re.fullmatch(r"-?\d{1,3}", text):
                raise self.fail(f"cannot read the exponent {text!r}")
            self.i += 1
            return float(text)
        if not self.take("^", "**"):
            return None
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(f"nested more than {DEEPEST} deep")
        result = self.signed()
        self.depth -= 1
        return result

    def atom(self) -> Any:
        kind, token, _ = self.tokens[self.i]
        if kind == "number":
            self.i += 1
            number = float(token)
            if number == float("inf"):
                raise self.fail("this number is too large", back=1)
            return number
        if token in _CLOSING:
            return self.group()
        if token == "|":
            self.i += 1
            inner = self.sum()
            self.expect("|")
            return Expression._record(TABLE["abs"], (inner,))
        if kind in ("name", "command"):
            return self.named()
        raise self.fail(f"did not expect {token!r} here" if token else "something is missing here")

    def group(self) -> Any:
        opening = self.tokens[self.i][1]
        self.i += 1
        inner = self.sum()
        if self.peek("<", ">"):  # (z > 0), 1[z > 0]: 1 where it is so, else 0
            swapped = self.take("<")
            self.take(">")
            other = self.sum()
            inner = Expression._record(TABLE["sub"], (other, inner) if swapped else (inner, other))
            inner = Expression._record(TABLE["step"], (inner,))
        self.expect(_CLOSING[opening])
        return Expression._record(TABLE["abs"], (inner,)) if "|" in opening else inner

    def named(self) -> Any:
        kind, token, _ = self.tokens[self.i]
        name = token[1:] if kind == "command" else token
        if kind == "command" and name == "frac":
            self.i += 1
            above, below = self.braced(), self.braced()
            return Expression._record(TABLE["div"], (above, below))
        if kind == "command" and name == "sqrt" and self.tokens[self.i + 1][1] in ("{", "["):
            self.i += 1
            third = self.peek("[")
            if third and self.group() != 3.0:
                raise self.fail("only square and cube roots are read; write x^(1/n)", back=1)
            return Expression._record(TABLE["cbrt" if third else "sqrt"], (self.braced(),))
        found = self.names.find(token)
        if len(found) > 1:
            raise self.fail(f"{token!r} could be {' or '.join(found)}")
        if found:
            self.i += 1
            return Expression(name=found[0])
        function = name if name in TABLE else SPELLINGS.get(name) or SPELLINGS.get(canonical(name), name)
        if function in TABLE or function in _DERIVED:
            self.i += 1
            return self.call(function)
        if name in ("pi", "π"):
            self.i += 1
            return 3.141592653589793
        if name == "e":
            self.i += 1
            exponent = self.exponent()
            return 2.718281828459045 if exponent is None else Expression._record(TABLE["exp"], (exponent,))
        if canonical(name).startswith(("Σ", "sum")):
            raise self.fail("sums have to be written out, as w2_1_1 δ2_1 + w2_1_2 δ2_2")
        raise self.fail(self.names.unknown(token))

    def braced(self) -> Any:
        if not self.peek("{"):
            raise self.fail("expected '{'")
        return self.group()

    def call(self, function: str) -> Any:
        r"""f(a, b), and f² (a) for the square of f(a); a LaTeX function may do without parentheses: \tanh z"""
        self.depth += 1  # without parentheses, sums do not count it
        if self.depth > DEEPEST:
            raise self.fail(f"nested more than {DEEPEST} deep")
        arity = 1 if function in _DERIVED else TABLE[function].arity
        squared = self.exponent()
        opening = self.tokens[self.i][1]
        if opening not in _CLOSING:
            if arity > 1 or self.tokens[self.i][0] not in ("name", "command", "number"):
                raise self.fail(f"expected '(' after {function}")
            arguments = [self.atom()]
        else:
            self.i += 1
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            self.expect(_CLOSING[opening])
        defaults = FUNCTIONS[function].__defaults__ or () if function in FUNCTIONS else ()
        if len(arguments) < arity <= len(arguments) + len(defaults):
            arguments += defaults[len(arguments) - arity :]
        if len(arguments) != arity:
            raise self.fail(f"{function} takes {arity} operands, got {len(arguments)}", back=1)
        if function in _DERIVED:
            result = _DERIVED[function](arguments[0])
        else:
            result = Expression._record(TABLE[function], tuple(arguments))
        self.depth -= 1
        return result if squared is None else Expression._record(TABLE["pow"], (result, squared))
