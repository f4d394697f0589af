// A recorded graph, recomputed: the same sweeps as Value.backward, in the same order, so that the bits are the same.
"use strict";

class Graph {
  // nodes: {op, operands, data} in topological order; an operand is [index], a constant is a number; op is null for a leaf.
  // Operations that are not in the table have with them their partials, as numbers, and through which a gradient passes.
  constructor(nodes) {
    this.nodes = nodes;
    this.unknown = [...new Set(nodes.map((node) => node.op).filter((op) => op && !Object.hasOwn(TABLE, op)))];
    // Constants are kept behind the nodes, so that every operand is a place in one array.
    const numbers = nodes.map((node) => node.data);
    this.steps = nodes.map(({ op, operands }, i) => ({
      i,
      rule: op && Object.hasOwn(TABLE, op) ? TABLE[op] : null,
      at: operands.map((x) => (Array.isArray(x) ? x[0] : numbers.push(x) - 1)),
    }));
    this.start = Float64Array.from(numbers);
    this.data = this.start.slice();
    this.size = nodes.length;
  }

  // Compute every operation anew from the numbers of the leaves, in place.
  forward(data) {
    for (const { i, rule, at } of this.steps) {
      if (!rule) continue; // a leaf, or an operation that is not in the table: it keeps its number
      if (at.length === 1) data[i] = rule.value(data[at[0]]);
      else if (at.length === 2) data[i] = rule.value(data[at[0]], data[at[1]]);
      else data[i] = rule.value(...at.map((x) => data[x]));
    }
    return data;
  }

  partial(i, k, data = this.data) {
    const { rule, at } = this.steps[i];
    if (!rule) return this.nodes[i].partials[k];
    if (at.length === 1) return rule.partials[k](data[at[0]], data[i]);
    if (at.length === 2) return rule.partials[k](data[at[0]], data[at[1]], data[i]);
    return rule.partials[k](...at.map((x) => data[x]), data[i]);
  }

  set(leaf, number) {
    this.data[leaf] = number;
    this.forward(this.data);
  }

  // One entry for each operand through which a gradient goes back, in the order in which backward visits them.
  get edges() {
    if (!this._edges) {
      this._edges = [];
      const reached = new Set([this.size - 1]);
      for (let i = this.size - 1; i >= 0; i--) {
        const { rule, at } = this.steps[i];
        const { passes } = rule || this.nodes[i];
        at.forEach((x, k) => {
          if (x >= this.size || !passes[k] || !reached.has(i)) return;
          reached.add(x);
          this._edges.push({ target: i, source: x, operand: k });
        });
      }
    }
    return this._edges;
  }

  // ∂root/∂node for every node after the seed and the first `count` edges; the root is the last node.
  backward(data = this.data, count = this.edges.length) {
    const grad = new Float64Array(this.size);
    grad[this.size - 1] = 1;
    for (let j = 0; j < count; j++) {
      const { target, source, operand } = this.edges[j];
      grad[source] += this.partial(target, operand, data) * grad[target];
    }
    return grad;
  }

  // ∂root/∂leaf by differences of values (five points), which know no rule.
  difference(leaf) {
    const x = this.data[leaf];
    const h = 1e-3 * Math.max(Math.abs(x), 0.1);
    const root = (dx) => {
      const data = this.data.slice();
      data[leaf] = x + dx;
      return this.forward(data)[this.size - 1];
    };
    return (8 * (root(h) - root(-h)) - (root(2 * h) - root(-2 * h))) / (12 * h);
  }
}
