// Formulas as people write them, parsed into functions of {name: number}: the grammar of byhand/formula.py, and
// what is known of a gradient that one is for. Nothing of them is ever run as code.
"use strict";

const LONGEST = 20000; // characters
const DEEPEST = 100; // parentheses, powers and functions inside one another
const GREEK = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", zeta: "ζ", eta: "η", theta: "θ", iota: "ι", kappa: "κ",
  lambda: "λ", mu: "μ", nu: "ν", xi: "ξ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", chi: "χ", psi: "ψ", omega: "ω",
};
const GREEK_WORD = new RegExp(`^(${Object.keys(GREEK).join("|")})(?![a-zA-Z])`);
const SPELLINGS = new Map(Object.entries({
  arccos: "acos", arccosh: "acosh", arcsin: "asin", arcsinh: "asinh", arctan: "atan", arctan2: "atan2",
  arctanh: "atanh", ln: "log", log_2: "log2", "log_{2}": "log2", log_10: "log10", "log_{10}": "log10", max: "maximum",
  min: "minimum", "σ": "sigmoid", ReLU: "relu", heaviside: "step",
}));
const OPERATIONS = new Map(Object.entries(TABLE));
const DERIVED = new Map([
  ["sign", { name: "sign", arity: 1, value: (x) => TABLE.compare.value(x, 0) }],
  ["sech", { name: "sech", arity: 1, value: (x) => 1 / TABLE.cosh.value(x) }],
]);

const UPRIGHT = String.raw`\\(?:mathrm|operatorname|text)\{\s*([^{}]*?)\s*\}`;
const NAME = String.raw`\p{L}(?:(?![⁰¹²³⁴-⁹])[\p{L}\p{N}]|[₀-₉]|_(?:\{[0-9a-zA-Z, ]*\})?)*(?:\.grad\b)?`;
const INDEX = String.raw`_(?:\{[0-9a-zA-Z, ]*\}|[0-9a-zA-Z])`;
const TOKEN = new RegExp(
  [
    String.raw`(?<bar>\\left\s*\||\\right\s*\|)`,
    String.raw`(?<space>(?:\s|\\[,;:! ]|\\quad|\\(?:left|right)(?!\s*\||[a-zA-Z])|&)+)`,
    String.raw`(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+\-]?\d+)?)`,
    String.raw`(?<superscript>[⁰¹²³⁴-⁹⁻]+)`,
    `(?<upright>${UPRIGHT}(?:${INDEX})?)`,
    String.raw`(?<command>\\[a-zA-Z]+(?:${INDEX})?)`,
    `(?<name>${NAME})`,
    String.raw`(?<symbol>\*\*|[\-+*\/^()\[\]\{\},=·×÷⋅−|<>])`,
  ].join("|"),
  "uy",
);
const LAYOUT = /\$|\\[[\]]|\\(?:[bB]igg?[lrm]?)(?![a-zA-Z])|\\(?:display|text)style(?![a-zA-Z])/g;
const STATEMENTS = /;|\\\\(?:\[[\d.]+[a-z]{2}\])?|\\(?:begin|end)\{[a-z]+\*?\}/;
const LAYER = /(_\{[\d, ]+\}|_\d)?\^\{\((\d+)\)\}(_\{[\d, ]+\}|_\d)?/g;
const MULTIPLY = ["*", "·", "×", "⋅", "\\cdot", "\\times"];
const CLOSING = new Map([["(", ")"], ["[", "]"], ["{", "}"], ["\\left|", "\\right|"]]);

class FormulaError extends Error {
  constructor(message, column) {
    super(message);
    this.column = column;
  }
}

// The canonical spelling, with commas where one index ends and the next begins: w1,12 and w11,2.
function spelled(name) {
  name = name.normalize("NFKC").replace(/^\\+/, "");
  const greek = GREEK_WORD.exec(name);
  if (greek) name = GREEK[greek[1]] + name.slice(greek[0].length);
  return name.replace(/(?<=\d)[_{},\s]+(?=\d)/g, "\0").replace(/[_{},\s]/g, "").replaceAll("\0", ",");
}

// One spelling for δ_1, δ₁, δ1, delta1 and \delta_{1}.
const canonical = (name) => spelled(name).replaceAll(",", "");

// The names a formula may use, each found under any spelling of it.
class Names {
  constructor(names) {
    this.exact = new Set();
    this.byCanonical = new Map();
    this.aliases = new Map();
    names.forEach((name) => this.add(name));
  }

  add(name) {
    if (!name || this.exact.has(name)) return;
    this.exact.add(name);
    const key = canonical(name);
    this.byCanonical.set(key, [...(this.byCanonical.get(key) || []), name]);
  }

  // Let what stands on the left side as a fraction stand on the right side too.
  alias(name, written) {
    if (!written.includes("/") && !written.includes("frac")) return;
    const alias = `ð${this.aliases.size}`;
    this.aliases.set(written, alias);
    this.byCanonical.set(alias, [name]);
  }

  find(name) {
    if (this.exact.has(name)) return [name];
    const found = this.byCanonical.get(canonical(name)) || [];
    if (found.length < 2) return found;
    const same = found.filter((x) => spelled(x) === spelled(name)); // w_{1,12} and w_{11,2}
    return same.length ? same : found;
  }
}

const constant = (x) => () => x;
const applied = (op, ...xs) => (at) => op.value(...xs.map((x) => x(at)));

class Parser {
  constructor(line, names) {
    line = line.replace(LAYER, (whole, before = "", layer = "", after = "") =>
      `_{${[layer, ...((before + after).match(/\d+/g) || [])].join(",")}}`.padEnd(whole.length));
    this.names = names;
    this.tokens = [];
    this.depth = 0;
    this.equals = line.indexOf("=");
    this.target = line.slice(0, Math.max(this.equals, 0));
    let position = this.equals + 1;
    while (position < line.length) {
      TOKEN.lastIndex = position;
      const match = TOKEN.exec(line);
      if (!match) {
        const [character] = line.slice(position);
        throw new FormulaError(`cannot read ${character}${character === "'" ? "; write derivatives out, as 1 - f² for tanh'(z)" : ""}`, position);
      }
      let [kind] = Object.entries(match.groups).find(([, text]) => text !== undefined);
      let token = match[0];
      if (kind === "upright") [kind, token] = ["name", upright(token)];
      if (kind === "bar") [kind, token] = ["symbol", token.startsWith("\\left") ? "\\left|" : "\\right|"];
      if (kind !== "space") this.tokens.push({ kind, token: token === "−" ? "-" : token, column: position });
      position += match[0].length;
    }
    this.tokens.push({ kind: "end", token: "", column: line.trimEnd().length });
    this.i = 0;
  }

  fail(message, back = 0) {
    return new FormulaError(message, this.tokens[this.i - back].column);
  }

  peek(...tokens) {
    return this.tokens[this.i].kind !== "end" && tokens.includes(this.tokens[this.i].token);
  }

  take(...tokens) {
    const found = this.peek(...tokens);
    if (found) this.i++;
    return found;
  }

  expect(token) {
    const found = this.tokens[this.i].token;
    if (!this.take(token)) throw this.fail(`expected ${token}${found ? `, found ${found}` : " here"}`);
  }

  deeper(parse) {
    if (++this.depth > DEEPEST) throw this.fail(`nested more than ${DEEPEST} deep`);
    const result = parse();
    this.depth--;
    return result;
  }

  line() {
    const target = upright(this.target).replaceAll("&", "").trim();
    if (this.equals >= 0 && !target) throw new FormulaError("a name should stand before =", this.equals);
    const run = this.sum();
    if (this.tokens[this.i].kind !== "end") throw this.fail(`did not expect ${this.tokens[this.i].token} here`);
    return [target, run];
  }

  sum() {
    return this.deeper(() => {
      const terms = [this.product()];
      while (this.peek("+", "-")) {
        const op = TABLE[this.tokens[this.i++].token === "+" ? "add" : "sub"];
        terms.push([op, this.product()]);
      }
      return terms.length === 1 ? terms[0] : chained(terms);
    });
  }

  // factor (* factor | / factor | factor)*: what stands side by side is multiplied
  product() {
    const factors = [this.signed()];
    for (;;) {
      if (this.take(...MULTIPLY)) factors.push([TABLE.mul, this.signed()]);
      else if (this.take("/", "÷")) factors.push([TABLE.div, this.signed()]);
      else if (["number", "name", "command"].includes(this.tokens[this.i].kind) || this.peek(...CLOSING.keys())) {
        factors.push([TABLE.mul, this.power()]);
      } else return factors.length === 1 ? factors[0] : chained(factors);
    }
  }

  signed() {
    let negative = false;
    while (this.peek("+", "-")) if (this.tokens[this.i++].token === "-") negative = !negative;
    const power = this.power();
    return negative ? applied(TABLE.neg, power) : power;
  }

  power() {
    const base = this.atom();
    const exponent = this.exponent();
    return exponent ? applied(TABLE.pow, base, exponent) : base;
  }

  exponent() {
    const { kind, token } = this.tokens[this.i];
    if (kind === "superscript") {
      const digits = token.normalize("NFKC").replace("−", "-");
      if (!/^-?\d{1,3}$/.test(digits)) throw this.fail(`cannot read the exponent ${digits}`);
      this.i++;
      return constant(Number(digits));
    }
    return this.take("^", "**") ? this.deeper(() => this.signed()) : null;
  }

  atom() {
    const { kind, token } = this.tokens[this.i];
    if (kind === "number") {
      this.i++;
      if (Number(token) === Infinity) throw this.fail("this number is too large", 1);
      return constant(Number(token));
    }
    if (CLOSING.has(token) && kind === "symbol") return this.group();
    if (token === "|" && kind === "symbol") {
      this.i++;
      const inner = this.sum();
      this.expect("|");
      return applied(TABLE.abs, inner);
    }
    if (kind === "name" || kind === "command") return this.named();
    throw this.fail(token ? `did not expect ${token} here` : "something is missing here");
  }

  group() {
    const opening = this.tokens[this.i++].token;
    let inner = this.sum();
    if (this.peek("<", ">")) {
      // (z > 0), 1[z > 0]: 1 where it is so, else 0
      const less = this.tokens[this.i++].token === "<";
      const other = this.sum();
      inner = applied(TABLE.step, less ? applied(TABLE.sub, other, inner) : applied(TABLE.sub, inner, other));
    }
    this.expect(CLOSING.get(opening));
    return opening.includes("|") ? applied(TABLE.abs, inner) : inner;
  }

  braced() {
    if (!this.peek("{")) throw this.fail("expected {");
    return this.group();
  }

  named() {
    const { kind, token } = this.tokens[this.i];
    const name = kind === "command" ? token.slice(1) : token;
    if (kind === "command" && name === "frac") {
      this.i++;
      return applied(TABLE.div, this.braced(), this.braced());
    }
    if (kind === "command" && name === "sqrt" && ["{", "["].includes(this.tokens[this.i + 1].token)) {
      this.i++;
      const third = this.peek("[");
      if (third && this.group()({}) !== 3) throw this.fail("only square and cube roots are read; write x^(1/n)", 1);
      return applied(TABLE[third ? "cbrt" : "sqrt"], this.braced());
    }
    const found = this.names.find(token);
    if (found.length > 1) throw this.fail(`${token} could be ${found.join(" or ")}`);
    if (found.length) {
      this.i++;
      return (at) => at[found[0]];
    }
    const known = OPERATIONS.has(name) ? name : SPELLINGS.get(name) || SPELLINGS.get(canonical(name)) || name;
    const op = OPERATIONS.get(known) || DERIVED.get(known);
    if (op) {
      this.i++;
      return this.deeper(() => this.call(op));
    }
    if (name === "pi" || name === "π") {
      this.i++;
      return constant(Math.PI);
    }
    if (name === "e") {
      this.i++;
      const exponent = this.exponent();
      return exponent ? applied(TABLE.exp, exponent) : constant(Math.E);
    }
    if (/^(Σ|sum)/.test(canonical(name))) throw this.fail("sums have to be written out, as w2_1_1 δ2_1 + w2_1_2 δ2_2");
    const all = [...this.names.exact];
    throw this.fail(`unknown name ${token}; there are ${all.slice(0, 30).join(", ") || "none"}${all.length > 30 ? ", …" : ""}`);
  }

  // f(a, b), and f²(a) for the square of f(a); a function of one operand may do without parentheses: tanh z
  call(op) {
    const squared = this.exponent();
    const { kind, token } = this.tokens[this.i];
    let operands;
    if (kind === "symbol" && CLOSING.has(token)) {
      this.i++;
      operands = [this.sum()];
      while (this.take(",")) operands.push(this.sum());
      this.expect(CLOSING.get(token));
    } else if (op.arity === 1 && ["name", "command", "number"].includes(kind)) operands = [this.atom()];
    else throw this.fail(`expected ( after ${op.name}`);
    const defaults = Object.hasOwn(FUNCTIONS, op.name) ? FUNCTIONS[op.name] : [];
    if (operands.length < op.arity && op.arity <= operands.length + defaults.length) {
      operands.push(...defaults.slice(operands.length - op.arity).map(constant));
    }
    if (operands.length !== op.arity) throw this.fail(`${op.name} takes ${op.arity} operands, got ${operands.length}`, 1);
    const value = applied(op, ...operands);
    return squared ? applied(TABLE.pow, value, squared) : value;
  }
}

// The first and then operations with one more each, from left to right. No recursion: sums get long.
function chained([first, ...rest]) {
  return (at) => rest.reduce((total, [op, x]) => op.value(total, x(at)), first(at));
}

const upright = (text) => text.replace(new RegExp(UPRIGHT, "g"), (_, inside) => inside.replaceAll("\\_", "_"));

// The formula as a function of {name: number}. Its lines end with ; or \\ or where they end; earlier ones serve later ones.
function formula(text, names) {
  if (text.length > LONGEST) throw new FormulaError(`the formula has ${text.length} characters; ${LONGEST} are read at most`, 0);
  const known = new Names(names);
  const lines = [];
  let start = 0;
  for (const part of text.split(/[\n\r]/)) {
    const end = part.search(/#|^\s*%/);
    let rest = end < 0 ? part : part.slice(0, end);
    let offset = start;
    for (let more = true; more; ) {
      const match = STATEMENTS.exec(rest);
      more = match !== null;
      const statement = more ? rest.slice(0, match.index) : rest;
      try {
        const parsed = parsedLine(statement, known);
        if (parsed) lines.push(parsed);
      } catch (error) {
        if (error instanceof FormulaError) error.column += offset;
        throw error;
      }
      if (more) {
        offset += match.index + match[0].length;
        rest = rest.slice(match.index + match[0].length);
      }
    }
    start += part.length + 1;
  }
  if (!lines.length) throw new FormulaError("the formula is empty", 0);
  return (numbers) => {
    const at = Object.assign(Object.create(null), numbers);
    let result;
    for (const [target, line] of lines) {
      result = line(at);
      if (target) at[target] = result;
    }
    return result;
  };
}

function parsedLine(statement, known) {
  let line = statement.replace(LAYOUT, (match) => " ".repeat(match.length));
  line = line.replace(/(?<=[^\d\s.])\s*[.,]\s*$/, "").replace(/\\[dt]frac(?![a-zA-Z])/g, "\\frac ");
  for (const [written, alias] of known.aliases) {
    const equals = line.lastIndexOf("=") + 1;
    const used = new RegExp(`(?<!\\w)${written.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?!\\w)`, "gu");
    line = line.slice(0, equals) + line.slice(equals).replace(used, alias.padEnd(written.length));
  }
  if (!line.trim()) return null;
  const [target, run] = new Parser(line, known).line();
  if (target) {
    known.add(target);
    known.alias(target, line.split("=")[0].trim());
  }
  return [target, run];
}

// What is known of a hand-derived formula. points: names -> numbers at which formulas are told apart; of: {value, slips},
// the right numbers at these, and [numbers, sentence] for each slip, all of it computed in Python; or undefined.
function verdict(run, mine, engine, of, points) {
  const here = near(mine, engine, 1e-9) || Math.abs(mine - engine) < 1e-15;
  const yours = of ? points.map(run) : [];
  const everywhere = yours.every((y, k) => near(y, of.value[k], 1e-7));
  if (here && everywhere) return { verdict: "agrees", sentence: "" };
  const found = of && of.slips.find(([values]) => values.every((v, k) => near(v, yours[k], 1e-7)));
  const sentence = found ? found[1] : ratio(yours, of);
  if (here) return { verdict: "agrees only here", sentence: sentence && `in general it is wrong: ${sentence}` };
  return { verdict: "differs", sentence };
}

function near(a, b, rtol) {
  return a === b || (Number.isFinite(a - b) && Math.abs(a - b) <= rtol * Math.max(Math.abs(a), Math.abs(b)) + 1e-290);
}

function ratio(yours, of) {
  const c = yours.map((y, k) => y / of.value[k]);
  if (!c.length || !c.every((x) => Number.isFinite(x) && Math.abs(x / c[0] - 1) < 1e-7)) return "";
  return `constant: it is ${Number(c[0].toPrecision(6))} times what it should be, at every point`;
}
