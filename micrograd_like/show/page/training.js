// Training of a small network on points of a plane, by the rules of the table; no page is needed for it.
"use strict";

// Mulberry32: the same seed gives the same numbers everywhere.
function generator(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

// As micrograd_like.data has them: (class, i, size of the class) -> x1, x2.
const SHAPES = {
  moons(label, i, size) {
    const t = (Math.PI * i) / Math.max(size - 1, 1);
    return label ? [1 - Math.cos(t), 0.5 - Math.sin(t)] : [Math.cos(t), Math.sin(t)];
  },
  circles(label, i, size) {
    const t = (2 * Math.PI * i) / size;
    return [Math.cos(t) * (label ? 0.5 : 1), Math.sin(t) * (label ? 0.5 : 1)];
  },
  spirals(label, i, size) {
    const radius = (i + 1) / size;
    const t = 2 * Math.PI * (radius + label / 2);
    return [radius * Math.cos(t), radius * Math.sin(t)];
  },
  xor(label, i) {
    const first = i % 2;
    return [first, label ? 1 - first : first];
  },
};
const NOISE = { moons: 0.1, circles: 0.08, spirals: 0.02, xor: 0.12 };

// Points {x: [x1, x2], y: 0 or 1}, centred and scaled as a whole so that every shape fills the same square.
function points(shape, n, seed) {
  const rng = generator(seed);
  const made = [];
  for (const y of [0, 1]) {
    for (let i = 0; i < n / 2; i++) {
      made.push({ x: SHAPES[shape](y, i, n / 2).map((u) => u + NOISE[shape] * rng.normal()), y });
    }
  }
  const [low, high] = [Math.min, Math.max].map((f) => [0, 1].map((k) => f(...made.map((p) => p.x[k]))));
  const scale = 2 / Math.max(high[0] - low[0], high[1] - low[1]);
  for (const p of made) p.x = p.x.map((u, k) => (u - (low[k] + high[k]) / 2) * scale);
  return made;
}

class Training {
  // sizes: units of the hidden layers; activation: a row of the table; data: the points.
  constructor({ sizes, activation, seed, data }) {
    this.rng = generator(seed + 1);
    this.data = data;
    this.updates = 0;
    this.losses = [];
    this.queue = [];
    this.build(sizes, activation);
  }

  // The graph of the loss of one sample: softplus(z) - y z, the binary cross-entropy of the logit z.
  build(sizes, activation) {
    const nodes = [];
    const leaf = (data = 0) => [nodes.push({ op: null, operands: [], data }) - 1];
    const apply = (op, ...operands) => [nodes.push({ op, operands, data: 0 }) - 1];
    const inputs = [leaf(), leaf()];
    const target = leaf();
    this.parameters = [];
    this.layers = [];
    let outputs = inputs;
    [...sizes, 1].forEach((size, depth) => {
      const units = [];
      for (let j = 0; j < size; j++) {
        const weights = outputs.map(() => leaf(this.rng.normal() / Math.sqrt(outputs.length)));
        const bias = leaf(0);
        this.parameters.push(...weights.map(([i]) => i), bias[0]);
        let sum = bias;
        weights.forEach((w, k) => (sum = apply("add", sum, apply("mul", w, outputs[k]))));
        const out = depth < sizes.length ? apply(activation, sum) : sum;
        units.push({ weights: weights.map(([i]) => i), bias: bias[0], sum: sum[0], output: out[0] });
      }
      this.layers.push(units);
      outputs = units.map((unit) => [unit.output]);
    });
    const z = outputs[0];
    apply("sub", apply("softplus", z), apply("mul", target, z));
    this.graph = new Graph(nodes);
    [this.inputs, this.target, this.logit] = [inputs.map(([i]) => i), target[0], z[0]];
  }

  // The numbers of all nodes for one input; y is of no matter if only outputs are looked at.
  at(x1, x2, y = 0) {
    const { data } = this.graph;
    [data[this.inputs[0]], data[this.inputs[1]], data[this.target]] = [x1, x2, y];
    return this.graph.forward(data);
  }

  // One update of SGD on the next `batch` samples: w <- w - lr ∂L/∂w, L the mean over them.
  step(lr, batch) {
    if (!this.data.length) return;
    const total = new Float64Array(this.graph.size);
    const n = Math.min(batch, this.data.length);
    for (let k = 0; k < n; k++) {
      if (!this.queue.length) this.queue = this.shuffled();
      this.sample = this.queue.pop();
      this.at(...this.sample.x, this.sample.y);
      const grad = this.graph.backward();
      for (const p of this.parameters) total[p] += grad[p] / n;
      this.delta = grad;
    }
    this.shown = this.graph.data.slice();
    this.gradient = total;
    for (const p of this.parameters) this.graph.data[p] -= lr * total[p];
    this.updates++;
  }

  shuffled() {
    const order = this.data.slice();
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.rng.uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  // Mean loss and share of right classes over all points.
  measure() {
    let [loss, right] = [0, 0];
    for (const { x, y } of this.data) {
      const data = this.at(...x, y);
      loss += data[this.graph.size - 1];
      right += data[this.logit] > 0 === (y === 1);
    }
    const n = Math.max(this.data.length, 1);
    this.losses.push([this.updates, loss / n]);
    return { loss: loss / n, accuracy: right / n };
  }

  // The output of every unit over the square [-edge, edge]², rows from the top: unit -> Float64Array.
  plane(cells, edge) {
    const planes = this.layers.flat().map((unit) => ({ unit, values: new Float64Array(cells * cells) }));
    for (let row = 0; row < cells; row++) {
      for (let column = 0; column < cells; column++) {
        const data = this.at(edge * ((2 * column + 1) / cells - 1), edge * (1 - (2 * row + 1) / cells));
        for (const { unit, values } of planes) values[row * cells + column] = data[unit.output];
      }
    }
    return planes;
  }
}
