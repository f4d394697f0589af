// Formulas as people write them, parsed into functions of names -> numbers. Nothing is ever run as code.
"use strict";

class FormulaError extends Error {
  constructor(message, column) {
    super(message);
    this.column = column;
  }
}

const GREEK = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", zeta: "ζ", eta: "η", theta: "θ", iota: "ι", kappa: "κ",
  lambda: "λ", mu: "μ", nu: "ν", xi: "ξ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", chi: "χ", psi: "ψ", omega: "ω",
};
const SPELLINGS = {
  arccos: "acos", arccosh: "acosh", arcsin: "asin", arcsinh: "asinh", arctan: "atan", arctan2: "atan2",
  arctanh: "atanh", ln: "log", max: "maximum", min: "minimum", "σ": "sigmoid", ReLU: "relu", heaviside: "step",
};
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const NAME = /^\\?[^\W\d_][\w₀-₉]*(?:_\{[\w, ]*\})?|^\\?[Ͱ-Ͽ][\w₀-₉]*(?:_\{[\w, ]*\})?/u;
const NUMBER = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/;

// One spelling for δ_1, δ₁, δ1, delta1 and \delta_{1}.
function canonical(name) {
  name = name.normalize("NFKC").replace(/^\\/, "");
  const word = Object.keys(GREEK).find((w) => name.startsWith(w) && !/^[a-zA-Z]/.test(name.slice(w.length)));
  if (word) name = GREEK[word] + name.slice(word.length);
  return name.replace(/[_{},\s]/g, "");
}

class Parser {
  // names: what the formula may refer to; lines before this one have added theirs.
  constructor(text, names) {
    this.text = text;
    this.names = new Map(names.map((name) => [canonical(name), name]));
    this.tokens = [];
    let i = 0;
    while (i < text.length) {
      const rest = text.slice(i);
      const space = /^(?:\s|\\[,;: !]|\\quad|\\left|\\right|&)+/.exec(rest);
      const fraction = /^\\[dt]?frac(?![a-zA-Z])/.exec(rest);
      const number = NUMBER.exec(rest);
      const raised = /^⁻?[⁰¹²³⁴-⁹]+/.exec(rest);
      const dot = /^\\(?:cdot|times)(?![a-zA-Z])/.exec(rest);
      const name = NAME.exec(rest);
      let [kind, token] = ["symbol", rest[0]];
      if (space) [kind, token] = ["space", space[0]];
      else if (fraction) [kind, token] = ["frac", fraction[0]];
      else if (number) [kind, token] = ["number", number[0]];
      else if (raised) [kind, token] = ["raised", raised[0]];
      else if (dot) [kind, token] = ["symbol", dot[0]];
      else if (name) [kind, token] = ["name", name[0]];
      else if (rest.startsWith("**")) token = "**";
      else if (!"+-*/^()[]{},·×÷⋅−|<>".includes(token)) {
        const cure = token === "'" ? "; write derivatives out, as 1 - f² for tanh'(z)" : "";
        throw new FormulaError(`cannot read ${token}${cure}`, i);
      }
      const column = i;
      i += token.length;
      if (/^(\\cdot|\\times|[·×⋅])$/.test(token)) token = "*";
      if (token === "÷") token = "/";
      if (token === "−") token = "-";
      if (token === "**") token = "^";
      if (kind !== "space") this.tokens.push({ kind, token, column });
    }
    this.tokens.push({ kind: "end", token: "", column: text.length });
    this.i = 0;
    this.depth = 0;
  }

  fail(message) {
    return new FormulaError(message, this.tokens[this.i].column);
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
    if (!this.take(token)) throw this.fail(`expected ${token}`);
  }

  whole() {
    const result = this.sum();
    if (this.tokens[this.i].kind !== "end") throw this.fail(`did not expect ${this.tokens[this.i].token} here`);
    return result;
  }

  sum() {
    if (++this.depth > 100) throw this.fail("nested more than 100 deep");
    let left = this.product();
    while (this.peek("+", "-")) {
      const [a, minus] = [left, this.tokens[this.i++].token === "-"];
      const b = this.product();
      left = minus ? (at) => a(at) - b(at) : (at) => a(at) + b(at);
    }
    this.depth--;
    return left;
  }

  product() {
    let left = this.signed();
    for (;;) {
      const a = left;
      if (this.take("*")) {
        const b = this.signed();
        left = (at) => a(at) * b(at);
      } else if (this.take("/")) {
        const b = this.signed();
        left = (at) => a(at) / b(at);
      } else if (["number", "name", "frac"].includes(this.tokens[this.i].kind) || this.peek("(", "[", "{")) {
        const b = this.power();
        left = (at) => a(at) * b(at);
      } else return left;
    }
  }

  signed() {
    let negative = false;
    while (this.peek("+", "-")) if (this.tokens[this.i++].token === "-") negative = !negative;
    const a = this.power();
    return negative ? (at) => -a(at) : a;
  }

  power() {
    const a = this.atom();
    const b = this.exponent();
    return b ? (at) => TABLE.pow.value(a(at), b(at)) : a;
  }

  exponent() {
    const { kind, token } = this.tokens[this.i];
    if (kind === "raised") {
      this.i++;
      const digits = [...token].map((c) => (c === "⁻" ? "-" : SUPERSCRIPTS.indexOf(c))).join("");
      return () => Number(digits);
    }
    if (!this.take("^")) return null;
    if (++this.depth > 100) throw this.fail("nested more than 100 deep");
    const result = this.signed();
    this.depth--;
    return result;
  }

  atom() {
    const { kind, token } = this.tokens[this.i];
    if (kind === "number") {
      this.i++;
      return () => Number(token);
    }
    if (kind === "frac") {
      this.i++;
      const [a, b] = [this.group("{"), this.group("{")];
      return (at) => a(at) / b(at);
    }
    if (this.peek("(", "[", "{")) return this.group(token);
    if (this.take("|")) {
      const a = this.sum();
      this.expect("|");
      return (at) => Math.abs(a(at));
    }
    if (kind === "name") return this.named(token);
    throw this.fail(token ? `did not expect ${token} here` : "something is missing here");
  }

  group(opening) {
    this.expect(opening);
    let a = this.sum();
    if (this.peek("<", ">")) {
      // (z > 0): 1 where it is so, else 0
      const [first, less] = [a, this.tokens[this.i++].token === "<"];
      const b = this.sum();
      a = (at) => Number(less ? first(at) < b(at) : first(at) > b(at));
    }
    this.expect({ "(": ")", "[": "]", "{": "}" }[opening]);
    return a;
  }

  named(token) {
    const key = canonical(token);
    if (this.names.has(key)) {
      const name = this.names.get(key);
      this.i++;
      return (at) => at[name];
    }
    const word = token.replace(/^\\/, "");
    const op = TABLE[word] || TABLE[SPELLINGS[word] || SPELLINGS[key]];
    if (op) {
      this.i++;
      return this.call(op);
    }
    if (key === "π") {
      this.i++;
      return () => Math.PI;
    }
    if (key === "e") {
      this.i++;
      const b = this.exponent();
      return b ? (at) => TABLE.exp.value(b(at)) : () => Math.E;
    }
    throw this.fail(`unknown name ${token}; there are ${[...this.names.values()].slice(0, 30).join(", ")}`);
  }

  call(op) {
    const squared = this.exponent();
    let operands;
    if (this.peek("(", "[", "{")) {
      const opening = this.tokens[this.i++].token;
      operands = [this.sum()];
      while (this.take(",")) operands.push(this.sum());
      this.expect({ "(": ")", "[": "]", "{": "}" }[opening]);
    } else if (op.arity === 1 && ["name", "number"].includes(this.tokens[this.i].kind)) {
      operands = [this.atom()]; // tanh z
    } else throw this.fail(`expected ( after ${op.name}`);
    const defaults = FUNCTIONS[op.name] || [];
    if (operands.length < op.arity && op.arity <= operands.length + defaults.length) {
      operands.push(...defaults.slice(operands.length - op.arity).map((x) => () => x));
    }
    if (operands.length !== op.arity) throw this.fail(`${op.name} takes ${op.arity} operands, got ${operands.length}`);
    const value = (at) => op.value(...operands.map((x) => x(at)));
    return squared ? (at) => TABLE.pow.value(value(at), squared(at)) : value;
  }
}

// The formula as a function of {name: number}; lines are separated by ; and earlier ones serve later ones.
function formula(text, names) {
  if (text.length > 20000) throw new FormulaError("the formula is too long", 0);
  const known = names.slice();
  const lines = [];
  let start = 0;
  for (const statement of text.split(/[;\n]/)) {
    const equals = statement.indexOf("=");
    if (statement.trim()) {
      try {
        const target = equals < 0 ? "" : statement.slice(0, equals).trim();
        if (equals >= 0 && !target) throw new FormulaError("a name should stand before =", equals);
        const body = " ".repeat(equals + 1) + statement.slice(equals + 1).replace(/[.,]\s*$/, "");
        lines.push([target, new Parser(body, known).whole()]);
        if (target) known.push(target);
      } catch (error) {
        if (error instanceof FormulaError) error.column += start;
        throw error;
      }
    }
    start += statement.length + 1;
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

// What is known of a hand-derived formula. points: names -> numbers at which formulas are told apart; of: {value, slips},
// the right numbers at these, and [numbers, sentence] for each slip, all of it computed in Python; or undefined.
function verdict(run, mine, engine, of, points) {
  const close = (a, b, rtol) => a === b || Math.abs(a - b) <= rtol * Math.max(Math.abs(a), Math.abs(b)) + 1e-290;
  const here = close(mine, engine, 1e-9) || Math.abs(mine - engine) < 1e-15;
  const yours = of ? points.map(run) : [];
  const everywhere = yours.every((y, k) => close(y, of.value[k], 1e-7));
  if (here && everywhere) return { verdict: "agrees", sentence: "" };
  const found = of && of.slips.find(([values]) => values.every((v, k) => close(v, yours[k], 1e-7)));
  const sentence = found ? found[1] : ratio(yours, of);
  if (here) return { verdict: "agrees only here", sentence: sentence && `in general it is wrong: ${sentence}` };
  return { verdict: "differs", sentence };
}

function ratio(yours, of) {
  const c = yours.map((y, k) => y / of.value[k]);
  if (!c.length || !c.every((x) => Number.isFinite(x) && Math.abs(x / c[0] - 1) < 1e-7)) return "";
  return `constant: it is ${Number(c[0].toPrecision(6))} times what it should be, at every point`;
}
