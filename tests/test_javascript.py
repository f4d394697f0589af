"""The table of operations in JavaScript against the table itself, bit by bit, in each JavaScript engine at hand."""

import json
import math
import platform
import random
import re
import shutil
import struct
import subprocess
import sys
from functools import cache
from itertools import product
from math import inf, nan
from pathlib import Path

import pytest

from micrograd_like import ops
from micrograd_like.show import javascript

try:
    import quickjs
except ImportError:
    quickjs = None

MATH = (Path(javascript.__file__).parent / "page" / "math.js").read_text(encoding="utf-8")

# ---- engines: they run a script and give the text of an expression --------------------------------


def in_node(script, expression):
    source = f"{script}\nprocess.stdout.write(String({expression}));"
    done = subprocess.run([shutil.which("node"), "-"], input=source, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_quickjs(script, expression):
    return quickjs.Context().eval(f"{script}\nString({expression});")


ENGINES = {"node": in_node} if shutil.which("node") else {}
ENGINES |= {"quickjs": in_quickjs} if quickjs else {}
everywhere = pytest.mark.parametrize(
    "engine", ENGINES or [pytest.param("", marks=pytest.mark.skip("needs node on the PATH, or pip install quickjs-ng"))]
)

# ---- numbers travel as their 64 bits, which nan, inf and -0.0 survive -----------------------------


def bits(x):
    return struct.pack(">d", x).hex() if x == x else "nan"


def number(text):
    return struct.unpack(">d", bytes.fromhex(text))[0] if text != "nan" else nan


ANSWER = """
const view = new DataView(new ArrayBuffer(8));
function number(text) {
  if (text === "nan") return NaN;
  view.setBigUint64(0, BigInt("0x" + text));
  return view.getFloat64(0);
}
function bits(x) {
  if (typeof x !== "number") throw new TypeError("not a number: " + x);
  view.setFloat64(0, x);
  return x === x ? view.getBigUint64(0).toString(16).padStart(16, "0") : "nan";
}
const answer = (f, points) => points.map(point => bits(f(...point.map(number))));
"""


def ask(engine, script, questions):
    """What JavaScript functions give: `questions` is a list of (expression of a function, points)."""
    asked = ", ".join(f"answer({f}, {json.dumps([[*map(bits, p)] for p in points])})" for f, points in questions)
    answers = json.loads(ENGINES[engine](script + ANSWER, f"JSON.stringify([{asked}])"))
    return [[number(text) for text in answer] for answer in answers]


# ---- points ---------------------------------------------------------------------------------------

HARD = [0.0, 5e-324, 1e-300, 1e-9, 0.5, 1 - 2**-53, 1.0, 1 + 2**-52, 2.0, 3.0, 10.0, 22.0, 28.5, 33.0, 300.0, 700.0]
HARD += [inf, 709.7, 710.0, 744.0, 746.0, 1023.0, 1075.0, 2.0**53, 1e16, 1e22, 1e150, 1e300, 1e308, sys.float_info.max]
HARD += [2.3e-308, 1.1e-308, math.pi / 2, math.pi, 1e5 * math.pi]
HARD = [*HARD, *(-x for x in HARD), nan]
FEW = [0.0, 1.0, inf, 5e-324, 0.5, 1.5, 2.0, 3.0, 7.0, 64.0, 65.0, 1 / 3, 1e22, 1e-200, 1e308]
FEW = [*FEW, *(-x for x in FEW), nan]


def hard(arity):
    """Every combination, so also ties, 0⁰, (-2)³ and the square root of -2."""
    return list(product({1: HARD, 2: FEW}.get(arity, [0.0, -0.0, 2.5, -inf, nan]), repeat=arity))


def ordinary(arity, count=400):
    rng = random.Random(arity)
    kinds = [lambda: rng.uniform(-10, 10), lambda: rng.uniform(-1, 1), lambda: math.exp(rng.uniform(-20, 7))]
    return [tuple(rng.choice(kinds)() for _ in range(arity)) for _ in range(count)]


# ---- how near is near enough ----------------------------------------------------------------------

# Rows of + - * / and √, of comparisons and choices: every bit is determined.
EXACT = {"add", "sub", "mul", "div", "neg", "sqrt", "relu", "leaky_relu", "abs", "maximum", "minimum", "where"}
EXACT |= {"step", "compare"}
# Others are within ULPS, and most often the same. glibc gives nearly always the nearest float to exp, log, pow and the
# circular functions. To the functions below it gives what its formulas make of them, which engines and page/math.js
# follow; on other processors, and in glibc from 2.39 on, some are made in other ways. erf and cbrt are formulas
# of glibc alone.
ULPS = 4
SHARE = 0.97
FORMULAS = {"expm1", "log1p", "log10", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "softplus", "logaddexp"}
FORMULAS |= {"sech2", "erf", "cbrt"}
SHARE_OF_FORMULAS = {"erf": 0.85, "cbrt": 0.85}
LIBRARY, VERSION = platform.libc_ver()
GLIBC = LIBRARY == "glibc"
MEASURED = GLIBC and platform.machine() == "x86_64" and (2, 28) <= tuple(map(int, VERSION.split(".")[:2])) < (2, 39)


def least_share(name):
    """At how much of the points, at least, the bits have to be the same."""
    if name in FORMULAS:
        return SHARE_OF_FORMULAS.get(name, SHARE) if MEASURED else 0.65 if GLIBC else 0.0
    return SHARE if GLIBC else 0.0


def place(x):
    """The number of a float, counted from 0.0."""
    i = int.from_bytes(struct.pack(">d", abs(x)), "big")
    return -i if x < 0 else i


def apart(name, point, got, want):
    """By how many units in the last place they differ; inf if in being nan, infinite, or in the sign of a zero."""
    if bits(got) == bits(want):
        return 0
    if not (math.isfinite(got) and math.isfinite(want)) or got == want == 0.0:
        return inf
    if name == "logaddexp":  # a sum: where it nearly cancels, the unit is that of its terms
        return abs(got - want) / math.ulp(max(map(abs, (*point, want))))
    return abs(place(got) - place(want))


def partial_in_python(partial, point):
    try:
        return partial(*point)
    except ops.DomainError:
        return nan


@cache
def compared(engine, table, points, names):
    """For each row: [("value" or the operand's number, [(point, JavaScript's number, Python's)])]."""
    asked, wanted = [], []
    for name in names:
        op, row, at = ops.TABLE[name], f"TABLE[{json.dumps(name)}]", points(ops.TABLE[name].arity)
        outs = [op.value(*point) for point in at]
        asked.append((f"{row}.value", at))
        wanted.append(outs)
        at = [(*point, out) for point, out in zip(at, outs, strict=True)]
        asked += [(f"{row}.partials[{i}]", at) for i in range(op.arity)]
        wanted += [[partial_in_python(partial, point) for point in at] for partial in op.partials]
    answers = ask(engine, MATH + table, asked)
    results = [list(zip(at, *both, strict=True)) for (_, at), *both in zip(asked, answers, wanted, strict=True)]
    parts = iter(results)
    return {name: [(part, next(parts)) for part in ("value", *range(ops.TABLE[name].arity))] for name in names}


def faults(engine, table, points, name, names=tuple(ops.TABLE)):
    """What is wrong with a row in JavaScript, in words."""
    found = []
    for part, results in compared(engine, table, points, names)[name]:
        distances = [apart(name, *result) for result in results]
        allowed = 0 if name in EXACT else ULPS
        found += [
            f"{name}, {part} at {point}: {got!r}, not {want!r}"
            for (point, got, want), distance in zip(results, distances, strict=True)
            if distance > allowed
        ]
        counted = [distance for (_, _, want), distance in zip(results, distances, strict=True) if math.isfinite(want)]
        if points is ordinary and counted.count(0) < least_share(name) * len(counted):
            found.append(f"{name}, {part}: the same bits at {counted.count(0)} of {len(counted)} points")
    return found


# ---- the rows -------------------------------------------------------------------------------------

TABLE = javascript.table()


@everywhere
def test_the_fields_of_every_row(engine):
    rows = json.loads(ENGINES[engine](MATH + TABLE, "JSON.stringify(TABLE)"))
    assert list(rows) == list(ops.TABLE)
    for name, op in ops.TABLE.items():
        assert rows[name] == {
            "name": name,
            "arity": op.arity,
            "symbol": op.symbol,
            "precedence": op.precedence,
            "commutative": op.commutative,
            "public": name in ops.FUNCTIONS,
            "partials": [None] * op.arity,  # functions
            "passes": list(op.passes),
            **({"slopes": list(op.slopes)} if op.slopes else {}),
        }


@everywhere
def test_the_functions_users_call(engine):
    functions = json.loads(ENGINES[engine](MATH + TABLE, "JSON.stringify(FUNCTIONS)"))
    assert list(functions) == list(ops.FUNCTIONS)
    assert {name: defaults for name, defaults in functions.items() if defaults} == {"leaky_relu": [0.01]}


@everywhere
@pytest.mark.parametrize("name", ops.TABLE)
def test_value_and_partials(engine, name):
    assert faults(engine, TABLE, ordinary, name) == []


@everywhere
@pytest.mark.parametrize("name", ops.TABLE)
def test_value_and_partials_at_hard_points(engine, name):
    assert faults(engine, TABLE, hard, name) == []


PLANTED = {  # the row, what is changed in its text, and points that show it
    "a factor": ("log", "(a, out) => div(1.0, a)", "(a, out) => div(1.0000000000000002, a)", ordinary),
    "the sign": ("neg", "(a) => -a", "(a) => 0 - a", hard),
    "another function": ("tanh", "const tanh = math.tanh", "const tanh = math.atan", ordinary),
    "the last bit": ("exp", "exp = _quiet(math.exp)", "exp = x => math.exp(x) * (1 + 2 ** -52)", ordinary),
    "operands that change places": ("sub", "(a, b) => a - b", "(a, b) => b - a", ordinary),
    "nan that is not true": ("where", "condition !== 0 ? a : b", "condition ? a : b", hard),
    "nan that is lost": ("maximum", "a > b || a !== a ? a : b", "a > b ? a : b", hard),
    "a tie": ("maximum", "0.5 + 0.5 * compare(a, b)", "step(a - b)", hard),
}


@everywhere
@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(engine, mistake):
    name, right, wrong, points = PLANTED[mistake]
    assert right in TABLE
    if mistake == "the last bit" and not GLIBC:
        return  # other libraries may be off by as much
    assert faults(engine, TABLE.replace(right, wrong), points, name, (name,))


def test_the_text_is_the_same_every_time():
    assert javascript.table() == TABLE
    script = "from micrograd_like.show import javascript; print(javascript.table(), end='')"
    again = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert again.stdout == TABLE


def test_nothing_is_evaluated_from_text():
    assert not re.search(r"\beval\b|\bFunction\b|\bimport\b", TABLE + MATH)


def test_importing_the_package_does_not_load_this():
    script = "import sys, micrograd_like; print([name for name in sys.modules if 'javascript' in name])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---- math.js against 60 digits: what does not depend on a C library -------------------------------


def nearest(mp, true):
    """The float nearest to a number, which may be subnormal."""
    if not mp.isfinite(true) or abs(true) >= 2**-1022:
        return float(true)
    return math.ldexp(int(mp.nint(mp.ldexp(true, 1074))), -1074)


WIDE = [m * 2.0**e for e in (-1040, -300, -60, -30, -9, -3, -1, 0, 1, 2, 3, 5, 8, 9) for m in (1.1, 1.37, -1.6, -1.93)]
TURNS = [1e22, 1e300, -1e5, 157079.63267948964, 6381956970095103.0 * 2.0**797, *(k * math.pi / 2 for k in range(1, 40))]
TIES = [(3.0, 34.0), (-5.0, 23.0), (10.0, 23.0), (7.0, 19.0), (-3.0, 5.0)]  # but for the last, halfway between floats
ROUNDED = {
    "exp": [*WIDE, 709.7, -720.1, -744.9, *(-708.4 - k / 30 for k in range(30))],
    "exp2": [*WIDE, 1023.9, -1040.7, -1074.4, *(-1022 - k / 30 for k in range(30))],
    "log": [abs(x) for x in WIDE],
    "log2": [abs(x) for x in WIDE] + [8.0, 2.0**-1074],
    "cbrt": [*WIDE, 27.0, -1e300],
    "sin": WIDE + TURNS,
    "cos": WIDE + TURNS,
    "tan": WIDE + TURNS,
    "asin": [x for x in WIDE if abs(x) < 1] + [1 - 2**-53, 1e-8 - 1],
    "acos": [x for x in WIDE if abs(x) < 1] + [1 - 2**-53, 1e-8 - 1],
    "atan": [*WIDE, 1e300, -1e17],
    "erf": [x for x in WIDE if abs(x) > 1e-8] + [5.9, 1.5, -2.5],
    "atan2": [(y, x) for y in WIDE[::3] for x in WIDE[::5] if abs(y / x) > 1e-280],
    "hypot": [(y, x) for y in WIDE[::3] for x in WIDE[::5]] + [(3e-320, 4e-320), (1e308, 1e308), (3.0, 4.0)],
    "pow": [(abs(x), y) for x in WIDE for y in (3.0, -7.0, 0.5, 1 / 3, -1.7, 65.0, 100.3)] + TIES,
}
NEARLY_HALFWAY = {  # where a small step in x is a much smaller one in f(x), some f(x) are nearly between two floats
    "exp": ("log", [1 + 2.0**-e for e in range(10, 40)]),
    "cos": ("acos", [1 - 2.0**-e for e in range(14, 44)]),
    "acos": ("cos", [math.pi / 2 - 2.0**-e for e in range(10, 40)]),
    "atan": ("tan", [math.pi / 2 - 2.0**-e for e in range(10, 40)]),
    "erf": ("erfinv", [1 - 2.0**-e for e in range(10, 40)]),
}


@everywhere
@pytest.mark.parametrize("name", ROUNDED)
def test_these_are_the_nearest_floats(engine, name):
    mp = pytest.importorskip("mpmath").mp
    points = [point if isinstance(point, tuple) else (point,) for point in ROUNDED[name]]
    mine = {
        "exp2": lambda x: mp.power(2, x),
        "log2": lambda x: mp.log(x, 2),
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        "pow": mp.power,
    }
    with mp.workdps(400 if name in {"sin", "cos", "tan"} else 60):
        inverse, ys = NEARLY_HALFWAY.get(name, ("", []))
        points += [(float(getattr(mp, inverse)(y + mp.mpf(math.ulp(y)) / 2)),) for y in ys]
        f = mine.get(name) or getattr(mp, name)
        want = [nearest(mp, f(*map(mp.mpf, point))) for point in points]
    (got,) = ask(engine, MATH, [(f"math.{name}", points)])
    assert [(p, g, w) for p, g, w in zip(points, got, want, strict=True) if bits(g) != bits(w)] == []


# ---- the translation ------------------------------------------------------------------------------

SNIPPETS = [  # functions of two floats
    "lambda a, b: a % b if b else 0.0",
    "lambda a, b: max(a, b) - min(b, a, 1.0)",
    "lambda a, b: a - (b - 1) - (a + b)",
    "lambda a, b: a * (b * 3.0) + -(a + b) + -(-a)",
    "lambda a, b: a and b",
    "lambda a, b: a or not b",
    "lambda a, b: (a < b) + (a <= 1.0 <= b) * 2 + (not a > b) * 4 + (a == b) * 8 + (a != a) * 16",
    "lambda a, b: 1.0 if a and b or not a and a < b else 2.0",
    "lambda a, b: 1.0 if (a or b) and (a < 1.0 or b < 1.0) else 2.0",
    "lambda a, b: (a if a < b else b) * (1.0 if a in {0.0, 2.0} else 3.0 if b not in (1.0, inf) else 4.0)",
    "lambda a, b: math.copysign(nan if a == b else a, b)",
    "lambda a, b: 1e400 if type(a) is float and a < b else b if type(b) is not float else 1e-7",
    "lambda new, default: new - default",
    "lambda math, max: math + max",
    "lambda a, b: operator.sub(operator.neg(a), b)",
    "lambda a, b: (lambda b: b + a)(a)",
    "helper",
    "nested(3.0)",
    "f",
]
AROUND = """
import math
import operator
from math import inf, nan, copysign as with_sign
HALF = 1 / 2
LIST = [x for x in range(3)]  # used by no row, so it may be anything
def pair(a, b):
    'b, a'
    return b, a
def helper(a: float, b: float) -> float:
    c, d = pair(a, b)
    c, d = d, c
    e: float = c
    e -= d * HALF
    if type(a) is not float:
        return LIST
    if e < 0.0:
        pass
    elif e > 10.0:
        e *= 3.0
    else:
        e = with_sign(e, -1.0)
    try:
        return helper(1.0, 2.0) if e == 7.0 else e
    except ZeroDivisionError:
        return [inf]
def nested(c):
    def outer(a, b):
        inf = a
        def inner(a):
            HALF = a * c
            return inf + HALF
        return inner(b) + HALF
    return outer
f = row("f", lambda a, b: a * 2.0 + b, 1.0)
"""


def in_python(snippet):
    namespace = {"row": lambda name, value, *partials: value}
    exec(f"{AROUND}\nvalue = {snippet}", namespace)
    return namespace["value"]


@everywhere
def test_snippets(engine):
    points = [(a, b) for a in FEW for b in FEW if abs(a) < inf or abs(b) < inf]
    scripts = []
    for snippet in SNIPPETS:
        definitions, rows = javascript.translate(f'{AROUND}\nsnippet = row("snippet", {snippet}, 1.0)')
        assert rows["snippet"] == "snippet, [1.0]"
        scripts.append(f"(() => {{ {chr(10).join(definitions)} return (...at) => Number(snippet(...at)); }})()")
    answers = ask(engine, MATH, [(script, points) for script in scripts])
    for snippet, got in zip(SNIPPETS, answers, strict=True):
        function = in_python(snippet)
        want = [float(function(*point)) for point in points]
        assert [(p, g, w) for p, g, w in zip(points, got, want, strict=True) if bits(g) != bits(w)] == [], snippet


def test_a_new_row_needs_no_javascript():
    source = "def _swish(x):\n    return x / (1.0 + math.exp(-x))\n"
    source = f'import math\n{source}swish = row("swish", _swish, lambda a, out: out + out / a * (1.0 - out), text="?")'
    assert javascript.translate(source) == (
        ["function _swish(x) { return x / (1.0 + math.exp(-x)); }", "const swish = _swish;"],
        {"swish": "swish, [(a, out) => out + out / a * (1.0 - out)]"},
    )


ANOTHER_WAY = "write it another way, or add it to javascript.py in show/"
REFUSED = [
    ("lambda a: a ** 2.0", f"a ** 2.0 has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: a // 2.0", f"a // 2.0 has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: 'text'", f"'text' has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: a is None", f"a is None has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a, b=1.0: a", f"lambda a, b=1.0: a has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda *a: a", f"lambda *a: a has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: abs(x=a)", f"abs(x=a) has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: sum([a])", f"sum has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: a.real", f"a.real has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: True", f"True has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: operator.matmul(a, a)", f"operator.matmul has no translation to JavaScript; {ANOTHER_WAY}"),
    ("lambda a: math.gamma(a)", "math.gamma has no translation to JavaScript; add it to page/math.js in show/"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[value for value, _ in REFUSED])
def test_what_is_not_understood(value, message):
    with pytest.raises(NotImplementedError) as error:
        javascript.translate(f'import math\nimport operator\n\nnew = row("new", {value}, 1.0)')
    assert str(error.value) == f"ops.py, line 4: {message}"


def test_a_statement_that_is_not_understood():
    source = 'def _new(a):\n    while a < 1.0:\n        a *= 2.0\n    return a\nnew = row("new", _new, 1.0)'
    with pytest.raises(NotImplementedError) as error:
        javascript.translate(source)
    assert str(error.value) == f"ops.py, line 2: while a < 1.0: has no translation to JavaScript; {ANOTHER_WAY}"


def test_a_row_that_stands_elsewhere_is_left_out(monkeypatch):
    monkeypatch.setitem(ops.TABLE, "swish", ops.Op("swish", lambda x: x, (1.0,)))
    assert "swish" not in javascript.table()
