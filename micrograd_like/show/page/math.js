// Python's `math`, aiming at the bits that CPython gives with glibc.
//
// Engines differ in the last bit of Math.exp and its kin. glibc's exp, log, pow and circular functions are nearly
// always the correctly rounded ones, so here they are computed to about 100 bits and rounded once. Its hyperbolic
// functions are not; they are textbook formulas of exp, log, expm1 and log1p, and so they are here. expm1 and log1p
// themselves agree as engines have them. Nothing raises: a pole is ±Infinity, what is not defined is NaN, as in C.
const math = (() => {
  "use strict";
  const {abs, sqrt, expm1, log1p, atanh} = Math;
  const copysign = (x, y) => (y < 0 || Object.is(y, -0) ? -abs(x) : abs(x));

  // ---- double-double: [high, low] stands for high + low, where |low| is at most half an ulp of high -------------

  const rounded = ([high]) => high;
  const negative = ([high, low]) => [-high, -low];

  // a + b without error, for |a| ≥ |b| (Dekker 1971)
  function ordered(a, b) {
    const high = a + b;
    return [high, b - (high - a)];
  }

  // a + b without error (Knuth)
  function sum(a, b) {
    const high = a + b, c = high - a;
    return [high, a - (high - c) + (b - c)];
  }

  // a b without error, for |a|, |b| < 2^996: halves of 26 bits have products that are floats (Dekker 1971)
  function product(a, b) {
    const high = a * b, c = 134217729 * a, d = 134217729 * b; // 2^27 + 1
    const a1 = c - (c - a), a2 = a - a1, b1 = d - (d - b), b2 = b - b1;
    return [high, a1 * b1 - high + a1 * b2 + a2 * b1 + a2 * b2];
  }

  function add(x, y) {
    const [high, error] = sum(x[0], y[0]);
    const [low, rest] = sum(x[1], y[1]);
    const [a, b] = ordered(high, error + low);
    return ordered(a, b + rest);
  }

  const sub = (x, y) => add(x, negative(y));

  function mul(x, y) {
    const [high, low] = product(x[0], y[0]);
    return ordered(high, low + (x[0] * y[1] + x[1] * y[0]));
  }

  function div(x, y) {
    const quotient = x[0] / y[0];
    return ordered(quotient, sub(x, mul(y, [quotient, 0]))[0] / y[0]);
  }

  function root(x) {
    const s = sqrt(x[0]);
    return s ? ordered(s, sub(x, product(s, s))[0] / (2 * s)) : [0, 0];
  }

  // c[0] + c[1] x + c[2] x² + … by Horner's rule. The later half of the terms is small enough for plain floats; the
  // loop is mul and add written out, as most of the time is spent here.
  function polynomial(c, [x, low]) {
    let i = c.length - 1, high = c[i][0], rest = 0;
    while (--i > c.length / 2) high = c[i][0] + high * x;
    const s = 134217729 * x, x1 = s - (s - x), x2 = x - x1;
    for (; i >= 0; i--) {
      const t = 134217729 * high, h1 = t - (t - high), h2 = high - h1;
      const a = c[i][0], b = high * x, error = h1 * x1 - b + h1 * x2 + h2 * x1 + h2 * x2 + (high * low + rest * x);
      const total = a + b, d = total - a, tail = a - (total - d) + (b - d) + (error + c[i][1]);
      high = total + tail;
      rest = tail - (high - total);
    }
    return [high, rest];
  }

  // ---- powers of two, by the bits of a float -------------------------------------------------------------------

  const bits = new DataView(new ArrayBuffer(8));

  // 2^n for -1022 ≤ n ≤ 1023
  function power2(n) {
    bits.setInt32(0, (n + 1023) << 20);
    bits.setInt32(4, 0);
    return bits.getFloat64(0);
  }

  // x 2^n for |n| ≤ 2044, without error where that is a normal float
  const shifted = (x, n) => x * power2(n >> 1) * power2(n - (n >> 1));

  // [m, n] with x = m 2^n and 1 ≤ m < 2, for finite x > 0
  function parts(x) {
    const subnormal = x < 2 ** -1022;
    bits.setFloat64(0, subnormal ? x * 2 ** 54 : x);
    const word = bits.getInt32(0);
    bits.setInt32(0, (word & 0xfffff) | 0x3ff00000);
    return [bits.getFloat64(0), (word >> 20) - (subnormal ? 1077 : 1023)];
  }

  // (high + low) 2^n > 0 rounded once, also to a subnormal float: the bits that it has no place for fall off beside
  // a number as large as 2^52 of its units
  function scaled([high, low], n) {
    const size = n + parts(high)[1];
    if (size > 1023) return Infinity;
    if (size >= -1022) return shifted(high, n);
    if (size < -1080) return 0;
    const large = shifted(1, -1022 - n);
    const [s, error] = sum(large, high);
    return shifted(s + (error + low) - large, n);
  }

  // ---- exponentials and logarithms: Taylor's series near 0, with powers of two and multiples of log(2) taken off ----

  const LN2 = [0.6931471805599453, 2.3190468138462996e-17];
  const series = (n, term) => Array.from({length: n}, (_, i) => term(i));
  const inverse = [[1, 0]]; // 1 / n!
  for (let n = 1; n < 30; n++) inverse.push(div(inverse[n - 1], [n, 0]));
  const EXP = inverse.slice(0, 25);
  const LOG = series(22, i => div([2, 0], [2 * i + 1, 0])); // of 2 artanh(x) / x, in x²

  // e^x is p 2^n: [p, n]
  function exponential(x) {
    const n = Math.round(x[0] / LN2[0]);
    return [polynomial(EXP, sub(x, mul([n, 0], LN2))), n];
  }

  // e^x, rounded
  const power = x => (abs(x[0]) < 750 ? scaled(...exponential(x)) : Math.exp(x[0]));

  // log(x) for finite x > 0 is n log(2) + 2 artanh((m - 1) / (m + 1)), where x = m 2^n and m is near 1
  function logarithm(x) {
    let [m, n] = parts(x);
    if (m > Math.SQRT2) [m, n] = [m / 2, n + 1];
    const s = div([m - 1, 0], sum(m, 1));
    return add(mul([n, 0], LN2), mul(s, polynomial(LOG, mul(s, s))));
  }

  const positive = x => x > 0 && x < Infinity;
  const exp = x => power([x, 0]);
  const log = x => (positive(x) ? rounded(logarithm(x)) : Math.log(x));
  const log2 = x => (positive(x) ? rounded(div(logarithm(x), LN2)) : Math.log(x));
  const cbrt = x => (positive(abs(x)) ? copysign(power(div(logarithm(abs(x)), [3, 0])), x) : x);

  // 2^x: the whole part of x is taken off without error
  function exp2(x) {
    if (!(abs(x) < 1100)) return Math.exp(x);
    const whole = Math.round(x);
    const [p, n] = exponential(mul([x - whole, 0], LN2));
    return scaled(p, n + whole);
  }

  // glibc's way: n log10(2) + log(m) / log(10), with 41 bits of log10(2) first, so that n times them has no error
  function log10(x) {
    if (!positive(x)) return Math.log(x);
    let [m, n] = parts(x);
    if (n < 0) [m, n] = [m / 2, n + 1];
    return n * 3.694239077158931e-13 + log(m) * 0.4342944819032518 + n * 0.30102999566361177;
  }

  // a^b is e^(b log a); a small whole power is multiplied out, so that one which is a float, or a tie, is exact
  function pow(a, b) {
    if (a === 1 || (a === -1 && abs(b) === Infinity)) return 1;
    if (!positive(abs(a)) || !positive(abs(b))) return a ** b; // as in C
    const whole = Math.trunc(b) === b;
    if (a < 0 && !whole) return NaN;
    const sign = a < 0 && b % 2 ? -1 : 1;
    if (whole && abs(b) <= 64) {
      const [m, n] = parts(abs(a));
      let p = [1, 0];
      for (let i = abs(b); i; i--) p = mul(p, [m, 0]);
      return sign * scaled(b < 0 ? div([1, 0], p) : p, n * b);
    }
    const x = logarithm(abs(a)), rough = b * x[0];
    return sign * power(rough && abs(rough) < 750 ? mul([b, 0], x) : [rough, 0]);
  }

  // ---- circular functions --------------------------------------------------------------------------------------

  const HALF_PI = [1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33];
  const alternating = (i, x) => (i % 2 ? negative(x) : x);
  const SIN = series(15, i => alternating(i, inverse[2 * i + 1])); // of sin(x) / x, in x²
  const COS = series(15, i => alternating(i, inverse[2 * i])); // of cos(x), in x²

  // π/2 · 2^1300, by Machin's formula
  function longHalfPi() {
    const arccot = k => {
      let total = 0n;
      for (let term = (1n << 1320n) / k, n = 1n; term; term /= -k * k, n += 2n) total += term / n;
      return total;
    };
    return (8n * arccot(5n) - 2n * arccot(239n)) >> 20n;
  }
  let halfPi; // once it was needed

  // [q, r] with x = q π/2 + r, |r| ≤ π/4; q is given modulo 4
  function quadrant(x) {
    const q = Math.round(x / HALF_PI[0]);
    if (abs(q) < 1e5) {
      const [high, low] = product(q, HALF_PI[0]);
      const r = sub(sum(x - high, -low), product(q, HALF_PI[1]));
      return [q & 3, sub(r, [q * HALF_PI[2], 0])];
    }
    // Whole numbers in units of 2^-(200 + n), in which x has no error and q π/2 one of about one unit times q 2^-n
    halfPi ??= longHalfPi();
    const [m, n] = parts(abs(x));
    const unit = halfPi >> BigInt(1100 - n);
    const whole = BigInt(m * 2 ** 52) << BigInt(148 + 2 * n);
    const turns = (2n * whole + unit) / (2n * unit);
    const rest = (whole - turns * unit) >> BigInt(n); // in units of 2^-200
    const high = Number(rest), r = [high * 2 ** -200, Number(rest - BigInt(high)) * 2 ** -200];
    return x > 0 ? [Number(turns & 3n), r] : [Number(-turns & 3n), negative(r)];
  }

  // sin(x) and cos(x)
  function circle(x) {
    const [q, r] = quadrant(x);
    const square = mul(r, r), s = mul(r, polynomial(SIN, square)), c = polynomial(COS, square);
    return [[s, c], [c, negative(s)], [negative(s), negative(c)], [negative(c), s]][q];
  }

  // the angle of the point (x, y): a rough one and then what is left of it, too small to differ from its tangent
  function angle(y, x) {
    const rough = Math.atan2(y[0], x[0]);
    const [s, c] = circle(rough);
    const across = sub(mul(y, c), mul(x, s)), along = add(mul(x, c), mul(y, s));
    return rough + across[0] / along[0];
  }

  const tiny = x => abs(x) < 2 ** -28; // then sin, tan, asin, atan, sinh and asinh round to x
  const leg = x => root(mul(sum(1, -x), sum(1, x))); // √(1 - x²)
  const sin = x => (tiny(x) ? x : abs(x) < Infinity ? rounded(circle(x)[0]) : NaN);
  const cos = x => (abs(x) < Infinity ? rounded(circle(x)[1]) : NaN);
  const tan = x => (tiny(x) ? x : abs(x) < Infinity ? rounded(div(...circle(x))) : NaN);
  const asin = x => (tiny(x) ? x : abs(x) <= 1 ? angle([x, 0], leg(x)) : NaN);
  const acos = x => (abs(x) <= 1 ? angle(leg(x), [x, 0]) : NaN);
  const atan = x => atan2(x, 1);

  function atan2(y, x) {
    if (!positive(abs(x)) || !positive(abs(y))) return Math.atan2(y, x);
    if (x > 0 && tiny(y / x)) return y / x;
    const n = -parts(Math.max(abs(x), abs(y)))[1];
    return angle([shifted(y, n), 0], [shifted(x, n), 0]);
  }

  // ---- hyperbolic functions: formulas for small, middling and large x, with glibc's boundaries ---------------------

  // e^x / 2 for x > 0, also where e^x is too large
  function half(x) {
    const e = exp(x), r = exp(x / 2);
    return e < Infinity ? e / 2 : r / 2 * r;
  }

  function sinh(x) {
    const a = abs(x), t = expm1(a);
    if (tiny(x)) return x;
    return copysign(a > 22 ? half(a) : (a < 1 ? 2 * t - t * t / (t + 1) : t + t / (t + 1)) / 2, x);
  }

  function cosh(x) {
    const a = abs(x), t = expm1(a);
    if (a > 22) return half(a);
    return a < LN2[0] / 2 ? 1 + t * t / (2 * (1 + t)) : exp(a) / 2 + 0.5 / exp(a);
  }

  function tanh(x) {
    const a = abs(x), t = expm1(a < 1 ? -2 * a : 2 * a);
    return copysign(a > 22 ? 1 : a < 1 ? t / (t + 2) : 1 - 2 / (t + 2), x);
  }

  function asinh(x) {
    const a = abs(x), s = sqrt(a * a + 1);
    if (tiny(x)) return x;
    return copysign(
      a > 2 ** 28 ? log(a) + LN2[0] : a > 2 ? log(2 * a + 1 / (s + a)) : log1p(a + a * a / (1 + s)), x);
  }

  function acosh(x) {
    const t = x - 1;
    if (t < 0) return NaN;
    if (x > 2 ** 28) return log(x) + LN2[0];
    return x > 2 ? log(2 * x - 1 / (x + sqrt(x * x - 1))) : log1p(t + sqrt(2 * t + t * t));
  }

  // ---- others --------------------------------------------------------------------------------------------------

  // 2/√π e^(-x²) (x + 2 x³ / 3 + 4 x⁵ / 15 + …), where nothing cancels; from 6 on it rounds to 1
  function erf(x) {
    if (tiny(x)) return x + x * 0.1283791670955126; // 2/√π - 1
    if (!(abs(x) < 6)) return Math.sign(x);
    const square = product(x, x);
    let term = [x, 0], total = term;
    for (let n = 1; abs(term[0]) > 2 ** -105 * abs(total[0]); n++) {
      term = div(mul(term, square), [n + 0.5, 0]);
      total = add(total, term);
    }
    const [p, n] = exponential(negative(square));
    return shifted(rounded(mul(mul(total, p), [1.1283791670955126, 1.533545961316588e-17])), n);
  }

  function hypot(a, b) {
    const largest = Math.max(abs(a), abs(b));
    if (!positive(largest)) return abs(a) === Infinity || abs(b) === Infinity ? Infinity : largest;
    const n = parts(largest)[1], x = shifted(a, -n), y = shifted(b, -n);
    return scaled(root(add(product(x, x), product(y, y))), n);
  }

  const [e, inf, nan, pi] = [Math.E, Infinity, NaN, Math.PI];
  return {
    acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, copysign, cos, cosh, e, erf, exp, exp2, expm1, hypot, inf, log,
    log10, log1p, log2, nan, pi, pow, sin, sinh, sqrt, tan, tanh,
  };
})();
