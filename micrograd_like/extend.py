"""Operations of users' own: `custom` puts a row into the table; `stop_gradient` is one that is there already."""

import inspect
import sys
from collections.abc import Callable
from math import inf
from numbers import Real
from typing import Any

from .engine import Value
from .ops import TABLE, apply, number, row
from .series import Series

_own: set[str] = set()  # the names of the rows that `custom` made: those it may replace


def custom(
    value: Callable[..., float],
    *partials: Callable[..., Any] | float,
    name: str = "",
    text: str = "",
    latex: str = "",
    domain: str = "",
) -> Callable[..., Any]:
    """Add an operation: a function of numbers with its partial derivatives. Returns it as a function of Values too.

    value: of floats, gives a float; what it raises as ArithmeticError or ValueError counts as not defined (nan).
    partials: one for each operand, of the operands, or of the operands and the result; or a number. They should use
    arithmetic and functions of this package, since they are applied to Values for second derivatives.
    name: what it is called in pictures and messages; that of `value` unless given. text, latex: how it is written, with
    {0}, {1} for the operands. domain: where it is defined, in words; then nan raises DomainError.

    It is differentiated, drawn, derived and checked as every other operation: `gradcheck` says if a partial is wrong.
    Formulas and `nn` know it by its name (activation="swish"). It is no method of Values, where its name might be that
    of something else. The name may be defined anew; graphs that were recorded before keep what they have.
    A pickled graph names its operations, so that it is loaded where they have been defined; and the function itself is
    pickled as all functions are, if it stands in the module that made it, under this name.

    Raises ValueError for a name that an operation of the package has, or none, and for text that cannot be filled in;
    TypeError if there is no partial, or one takes too few or too many operands, and, when it is used, if it gives no
    number, or uses a function of floats, as those of math, for a second derivative.

    >>> from micrograd_like import gradcheck, sigmoid
    >>> swish = custom(lambda x: x * sigmoid(x), lambda x, out: out + sigmoid(x) * (1 - out), name="swish")
    >>> gradcheck(swish, (0.7,))
    True
    """
    name = name or getattr(value, "__name__", "")
    if not name.isidentifier():
        raise ValueError(f"an operation needs a name, as name='swish', got {name!r}")
    if name in TABLE and name not in _own:
        raise ValueError(f"an operation named {name!r} is there already; choose another name=")
    arity = len(partials)
    if not partials:
        raise TypeError(f"{name}: give a partial derivative for each operand")
    least, most = _positional(value)
    if not least <= arity <= most:
        raise TypeError(f"the value of {name} takes {_shown(value)}, and there are partial derivatives for {arity}")
    for template in (text, latex):
        try:
            template.format(*range(arity))
        except (LookupError, ValueError):
            raise ValueError(
                f"{name} is written with {{0}}, {{1}}, … for its operands, which are {arity}, and {{{{ }}}} for "
                f"braces, not as {template!r}"
            ) from None
    rules = [
        _rule(p, arity, f"partial {i} of {name}")
        if callable(p)
        else number(p, name, "partials that are functions or numbers")
        for i, p in enumerate(partials, 1)
    ]
    function = row(name, _quietly(value, name), *rules, text=text, latex=latex, domain=domain)
    function.__module__ = sys._getframe(1).f_globals.get("__name__", "__main__")  # where pickles look for it
    _own.add(name)
    return function


def _quietly(value: Callable[..., float], name: str) -> Callable[..., float]:
    def quiet(*numbers: float) -> float:
        try:
            return number(value(*numbers), name, "a function that returns numbers")
        except (ArithmeticError, ValueError):
            return float("nan")

    return quiet


def _positional(function: Callable[..., Any]) -> tuple[int, float]:
    """How many positional arguments it has to get, and how many it may; any number where Python cannot tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0, inf
    own = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    any_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in own), inf if any_more else len(own)


def _shown(function: Callable[..., Any]) -> str:
    return ", ".join(map(str, inspect.signature(function).parameters.values())) or "nothing"


def _rule(partial: Callable[..., Any], arity: int, what: str) -> Callable[..., Any]:
    """The partial as rows have it: of the operands and the result. what: what to call it."""
    least, most = _positional(partial)
    if least > arity + 1 or most < arity:
        raise TypeError(
            f"{what} takes {_shown(partial)}, and should take the operands, which are {arity}, or these and the result"
        )
    with_out = least > arity or most == inf
    whole: Callable[..., Any] = partial if with_out else lambda *operands: partial(*operands[:-1])

    def rule(*operands_and_out: Any) -> Any:
        slope = whole(*operands_and_out)
        if isinstance(slope, Real) or not hasattr(slope, "_record"):
            if not isinstance(slope, Real) and getattr(slope, "ndim", None) != 0:
                shown = f"{type(slope).__name__} {slope!r:.60}"
                raise TypeError(f"{what} gives {shown}, and should give a number or a Value")
            slope = float(slope)
            if any(isinstance(x, (Value, Series)) for x in operands_and_out):
                _check_constant(whole, operands_and_out, slope, what)
        return slope

    return rule


def _check_constant(partial: Callable[..., Any], operands_and_out: tuple[Any, ...], slope: float, what: str) -> None:
    """A float for Values is right only if it is always the same: else a function of math has lost the graph."""
    # Near by, so that it is the same branch of a condition.
    elsewhere = []
    for x in operands_and_out:
        try:
            here = x._data if isinstance(x, Value) else float(x)
        except TypeError:  # while it is compiled there is no number, and there are no conditions either
            here = 0.7
        elsewhere.append(here if type(x) is float else here + 1e-3 * abs(here) + 1e-6)
    try:
        constant = float(partial(*elsewhere)) == slope
    except (ArithmeticError, ValueError):
        constant = False
    if not constant:
        raise TypeError(
            f"{what} gives a float for Values, so its own derivative is lost: use the functions of micrograd_like in "
            "it (exp, log, …) in place of those of math"
        )


def stop_gradient(x: Any) -> Any:
    """x, as a constant to whatever differentiates: no gradient goes back through it. Of a number, the number."""
    return apply(TABLE["stop_gradient"], (x,))
