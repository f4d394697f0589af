// The graph of the page: step through it, drag its leaves, try formulas on it.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// As show.scene.short and strength in Python.
function short(x, sign = false) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? (sign ? "+inf" : "inf") : "−inf";
  // Half of the last digit is rounded to even, as Python does; toExponential rounds it up.
  let [mantissa, power] = x.toExponential(3).split("e");
  const tie = x.toExponential(4).split("e")[0].endsWith("5") && Number(x.toExponential(4)) === x;
  if (tie && Number(mantissa.at(-1)) % 2) mantissa = (Number(mantissa) - Math.sign(x) / 1000).toFixed(3);
  const exponent = Number(power);
  const trim = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const plain = exponent >= -4 && exponent < 4;
  const text = plain ? trim(Number(`${mantissa}e${power}`).toFixed(3 - exponent)) : `${trim(mantissa)}e${exponent}`;
  return (sign && x > 0 ? "+" : "") + text.replace(/-/g, "−");
}

function strength(x, strongest) {
  if (!Number.isFinite(x) || strongest === 0) return x ? 1 : 0;
  return Math.min(1, Math.log1p((9 * Math.abs(x)) / strongest) / Math.log(10));
}

const signOf = (x) => (x > 0 ? "pos" : x < 0 ? "neg" : "zero");

// Settings in the address, so that a link shows what its sender saw. A sandboxed frame may forbid it.
const address = {
  read() {
    return new URLSearchParams(location.hash.slice(1));
  },
  write(settings) {
    const text = new URLSearchParams(settings).toString();
    try {
      history.replaceState(null, "", `#${text}`);
    } catch {
      return;
    }
  },
};

// Are keys for what has the focus, and not for the page? Buttons take the space bar; the slider is the page's.
function typing(event, slider) {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  const { tagName } = event.target;
  if (tagName === "BUTTON") return event.key === " ";
  return /^(INPUT|SELECT|TEXTAREA)$/.test(tagName) && event.target !== slider;
}

class Explorer {
  constructor(scene) {
    this.scene = scene;
    const numbers = scene.nodes.map((node) => ({
      ...node,
      operands: node.operands.map((x) => (Array.isArray(x) ? x : Number(x))),
      data: Number(node.data),
      partials: node.partials && node.partials.map(Number),
    }));
    this.graph = new Graph(numbers);
    this.edges = this.graph.edges;
    this.order = numbers.map((node, i) => i).filter((i) => numbers[i].op);
    this.last = this.order.length + 1 + this.edges.length;
    this.fixed = this.graph.unknown.length > 0;
    this.step = this.last;
    this.formulas = new Map();
    this.find();
    this.controls();
    this.panel();
    this.visit();
  }

  // What the address says.
  visit() {
    this.fromAddress();
    this.draw();
    this.follow();
  }

  // The parts of the picture that change. Ids are n12 for a node, n12.0 for its first operand, n12c0 for a constant.
  find() {
    this.cards = new Map();
    this.lines = [];
    for (const g of document.querySelectorAll("#picture [data-id]")) {
      const [, target, operand] = /^n(\d+)(?:\.(\d+))?$/.exec(g.dataset.id) || [];
      if (operand !== undefined) this.lines.push(this.line(g, Number(target), Number(operand)));
      else if (target !== undefined) {
        const [data, grad] = g.querySelectorAll(".number");
        data.classList.add("data");
        this.cards.set(Number(target), { g, data, grad, tint: $("[fill-opacity]", g), title: $("title", g) });
      }
    }
    this.lines = this.lines.filter(({ target, operand }) => this.graph.steps[target].at[operand] < this.graph.size);
    for (const label of document.querySelectorAll("#picture [data-label]")) label.remove();
  }

  line(g, target, operand) {
    const path = g.matches(".edge") ? g : $(".edge", g);
    return { g, target, operand, path, tip: $("path:last-child:not(.edge)", g), title: $("title", g), label: null };
  }

  // The local derivative in the middle of an edge, on a small piece of paper.
  write(line, local) {
    if (!line.label) {
      const svg = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
      const { x, y } = line.path.getPointAtLength(line.path.getTotalLength() / 2);
      const [g, box, text] = ["g", "rect", "text"].map(svg);
      box.setAttribute("class", "paper");
      text.setAttribute("class", "number");
      Object.entries({ x, y: y + 3.5, "text-anchor": "middle", "font-size": 10 }).forEach(([k, v]) => text.setAttribute(k, v));
      g.append(box, text);
      $("#picture svg").append(g);
      line.label = { g, box, text, x, y };
    }
    const { g, box, text, x, y } = line.label;
    g.classList.toggle("gone", local === 1);
    text.textContent = short(local);
    const width = 6.1 * text.textContent.length + 3;
    Object.entries({ x: x - width / 2, y: y - 6, width, height: 12, rx: 3 }).forEach(([k, v]) => box.setAttribute(k, v));
  }

  name(i) {
    return this.scene.nodes[i].label;
  }

  // The same where something stands before or after it.
  called(i) {
    return this.scene.nodes[i].loose ? `(${this.name(i)})` : this.name(i);
  }

  // The operation of a node with the numbers of its operands.
  written(i) {
    const { at } = this.graph.steps[i];
    return this.scene.nodes[i].text.replace(/(.?)\{(\d)\}( \*\*)?/g, (_, before, k, power = "") => {
      const number = short(this.graph.data[at[k]]);
      const bare = number[0] !== "−" || (!power && (before === "" || before === "("));
      return `${before}${bare ? number : `(${number})`}${power}`;
    });
  }

  leaves() {
    return this.graph.nodes.map((node, i) => i).filter((i) => !this.graph.nodes[i].op);
  }

  // ---- steps ----

  get forward() {
    return Math.min(this.step, this.order.length);
  }

  get backward() {
    return Math.max(0, this.step - this.order.length - 1);
  }

  get seeded() {
    return this.step > this.order.length;
  }

  go(step) {
    this.step = Math.max(0, Math.min(this.last, Math.round(step)));
    this.draw();
    this.toAddress();
    this.follow();
  }

  sentence() {
    const { data } = this.graph;
    const code = (text) => element("code", {}, text);
    const bold = (text) => element("b", {}, text);
    if (this.step === 0) return ["Start: the leaves have their numbers. Step forward to compute, one operation at a time."];
    if (!this.seeded) {
      const i = this.order[this.step - 1];
      return ["Forward: ", bold(this.name(i)), " = ", code(`${this.written(i)} = ${short(data[i])}`)];
    }
    const root = this.graph.size - 1;
    if (this.backward === 0) return ["Backward begins: ", bold(`${this.called(root)}.grad`), " = ", code("1"), ", since it is ∂", this.called(root), "/∂", this.called(root)];
    const edge = this.edges[this.backward - 1];
    const before = this.graph.backward(this.graph.data, this.backward - 1);
    const local = this.graph.partial(edge.target, edge.operand);
    const upstream = before[edge.target];
    const flow = local * upstream;
    const now = before[edge.source] + flow;
    return [
      "Backward: ", bold(`${this.called(edge.source)}.grad`), ` += ∂${this.called(edge.target)}/∂${this.called(edge.source)} × ${this.called(edge.target)}.grad = local × upstream = `,
      code(`${short(local)} × ${short(upstream)} = ${short(flow)}`), ", so ", code(`${short(before[edge.source])} → ${short(now)}`),
    ];
  }

  draw() {
    const { graph } = this;
    const grad = graph.backward(graph.data, this.backward);
    this.grad = grad;
    const full = graph.backward();
    const strongest = full.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
    const computed = new Set(this.order.slice(0, this.forward));
    const visited = new Set(this.edges.slice(0, this.backward).map((edge) => `${edge.target} ${edge.operand}`));
    const reached = new Set(this.edges.slice(0, this.backward).map((edge) => edge.source));
    if (this.seeded) reached.add(graph.nodes.length - 1);
    const active = this.seeded ? (this.backward ? this.edges[this.backward - 1] : null) : null;
    const current = this.seeded ? (active ? active.source : graph.nodes.length - 1) : this.order[this.step - 1];
    for (const [i, card] of this.cards) {
      const known = !graph.nodes[i].op || computed.has(i);
      card.g.classList.toggle("dim", !known);
      card.g.classList.toggle("current", i === current);
      card.data.textContent = known ? short(graph.data[i]) : "·";
      const has = reached.has(i);
      card.grad.textContent = has ? short(grad[i], true) : "·";
      card.tint.setAttribute("class", signOf(has ? grad[i] : 0));
      card.tint.setAttribute("fill-opacity", has && grad[i] ? 0.08 + 0.5 * strength(grad[i], strongest) : 0);
      if (card.leaf) {
        card.g.setAttribute("aria-valuenow", graph.data[i]);
        card.g.setAttribute("aria-valuetext", `${this.name(i)} = ${graph.data[i]}`);
      }
      card.title.textContent = `${this.name(i)}: data ${graph.data[i]}, grad ${has ? grad[i] : "not computed yet"}`;
    }
    for (const line of this.lines) {
      const { g, target, operand, path, tip, title } = line;
      const local = graph.partial(target, operand);
      const done = visited.has(`${target} ${operand}`);
      const flow = local * full[target];
      const sign = done ? signOf(flow) : "zero";
      path.setAttribute("class", `edge ${sign}`);
      path.setAttribute("stroke-width", done ? 0.7 + 2.3 * strength(flow, strongest) : 1);
      if (tip) tip.setAttribute("class", `tip ${sign}`);
      if (title) title.textContent = `local ${local} × upstream ${full[target]} = ${flow}`;
      g.classList.toggle("current", active !== null && active.target === target && active.operand === operand);
      if (local !== 1 || line.label) this.write(line, computed.has(target) ? local : 1);
    }
    $("#sentence").replaceChildren(...this.sentence());
    $("#slider").value = this.step;
    const phase = this.seeded ? "backward" : this.step ? "forward" : "start";
    $("#count").textContent = `${this.step}/${this.last} · ${phase}`;
    this.fill();
  }

  // Keep what happens in sight, in a picture larger than the window.
  follow() {
    const card = $("#picture .current .card");
    const view = $("#picture");
    if (!card || view.scrollWidth <= view.clientWidth) return;
    const [a, b] = [card.getBoundingClientRect(), view.getBoundingClientRect()];
    if (a.left < b.left || a.right > b.right) view.scrollLeft += a.left - b.left - (b.width - a.width) / 2;
    if (a.top < b.top || a.bottom > b.bottom) view.scrollTop += a.top - b.top - (b.height - a.height) / 2;
  }

  // ---- controls ----

  controls() {
    const slider = $("#slider");
    slider.max = this.last;
    slider.addEventListener("input", () => this.go(slider.valueAsNumber));
    const buttons = { first: () => this.go(0), back: () => this.go(this.step - 1), next: () => this.go(this.step + 1), last: () => this.go(this.last) };
    for (const [id, action] of Object.entries(buttons)) $(`#${id}`).addEventListener("click", action);
    $("#play").addEventListener("click", () => this.play());
    $("#reset").addEventListener("click", () => {
      this.graph.data = this.graph.start.slice();
      this.draw();
      this.toAddress();
    });
    $("#zoom").value = Math.max(0.5, Math.min(1, ($("#picture").clientWidth - 2) / this.scene.width));
    $("#zoom").addEventListener("input", () => this.zoom());
    document.addEventListener("keydown", (event) => {
      if ($("#graph").hidden || typing(event, slider)) return;
      const leaf = event.target.closest ? event.target.closest(".leaf") : null;
      const keys = { ArrowLeft: () => this.go(this.step - 1), ArrowRight: () => this.go(this.step + 1), Home: () => this.go(0), End: () => this.go(this.last), " ": () => this.play() };
      if (leaf && !this.fixed && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        this.nudge(Number(leaf.dataset.id.slice(1)), event.key === "ArrowUp" ? 1 : -1);
      } else if (keys[event.key]) keys[event.key]();
      else return;
      event.preventDefault();
    });
    for (const i of this.leaves()) {
      const card = this.cards.get(i);
      if (!card || this.fixed) continue;
      card.g.classList.add("leaf");
      card.g.setAttribute("tabindex", "0");
      card.g.setAttribute("role", "slider");
      card.g.setAttribute("aria-label", `${this.name(i)}: drag sideways, or press the up and down arrows, to change it`);
      card.leaf = true;
      this.draggable(i, card.g);
    }
    if (this.fixed) $("#hint").textContent = `The page does not know the operation ${this.graph.unknown.join(", ")}: numbers stay as they were recorded.`;
    this.zoom();
  }

  zoom() {
    const svg = $("#picture svg");
    const width = this.scene.width * Number($("#zoom").value);
    svg.setAttribute("width", width);
    svg.removeAttribute("height");
  }

  draggable(i, g) {
    g.addEventListener("pointerdown", (down) => {
      const before = this.graph.data[i];
      const unit = Math.max(Math.abs(before), 0.5) / 100;
      let moved = false;
      g.setPointerCapture(down.pointerId);
      const move = (event) => {
        const pixels = event.clientX - down.clientX;
        if (!moved && Math.abs(pixels) < 3) return;
        moved = true;
        this.set(i, Number((before + pixels * unit).toPrecision(4)));
      };
      const up = () => {
        g.removeEventListener("pointermove", move);
        if (moved) this.toAddress();
      };
      g.addEventListener("pointermove", move);
      g.addEventListener("pointerup", up, { once: true });
      g.addEventListener("pointercancel", up, { once: true });
    });
  }

  nudge(i, direction) {
    const x = this.graph.data[i];
    this.set(i, Number((x + direction * Math.max(10 ** Math.floor(Math.log10(Math.abs(x) || 1)), 0.1) * 0.1).toPrecision(12)));
    this.toAddress();
  }

  set(i, number) {
    this.graph.set(i, number);
    this.draw();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    $("#play").textContent = "▷ play";
    $("#play").setAttribute("aria-pressed", "false");
  }

  play() {
    const button = $("#play");
    if (this.timer) return this.stop();
    if (this.step === this.last) this.go(0);
    button.textContent = "❚❚ pause";
    button.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => (this.step < this.last ? this.go(this.step + 1) : this.stop()), Math.max(60, Math.min(700, 30000 / this.last)));
  }

  toAddress() {
    const settings = { step: this.step };
    for (const i of this.leaves()) if (this.graph.data[i] !== this.graph.start[i]) settings[`v${i}`] = this.graph.data[i];
    address.write(settings);
  }

  fromAddress() {
    const settings = address.read();
    const changed = {};
    this.step = this.last;
    this.graph.data = this.graph.start.slice();
    for (const i of this.leaves()) {
      const number = Number.parseFloat(settings.get(`v${i}`));
      if (Number.isFinite(number) && !this.fixed) changed[i] = number;
    }
    Object.assign(this.graph.data, changed);
    if (Object.keys(changed).length) this.graph.forward(this.graph.data);
    if (settings.has("step")) {
      const step = Number(settings.get("step"));
      this.step = Math.max(0, Math.min(this.last, Number.isFinite(step) ? Math.round(step < 0 ? this.last + 1 + step : step) : this.last));
    }
  }

  // ---- formulas by hand ----

  panel() {
    const names = this.scene.nodes.map((node) => node.key).filter(Boolean);
    this.names = names;
    const byName = new Intl.Collator("en", { numeric: true }).compare;
    const shown = this.leaves().sort((i, j) => byName(this.name(i), this.name(j))).slice(0, 400);
    this.rows = shown.map((i) => {
      const cell = (className) => element("td", { class: className });
      const row = { i, engine: cell("n"), mine: cell("n"), difference: cell("n"), verdict: cell("verdict") };
      row.value = element("input", {
        type: "number", step: "any", class: "n", "aria-label": `value of ${this.name(i)}`, disabled: this.fixed,
        onchange: () => Number.isFinite(row.value.valueAsNumber) && (this.set(i, row.value.valueAsNumber), this.toAddress()),
      });
      row.text = element("textarea", {
        rows: 1, spellcheck: "false", class: "formula", "data-formula": i, "aria-label": `your formula for ∂${this.name(this.graph.nodes.length - 1)}/∂${this.name(i)}`,
        placeholder: `∂${this.name(this.graph.nodes.length - 1)}/∂${this.name(i)} by hand`, oninput: () => this.judge(row),
      });
      row.sentence = element("td", { colspan: 7, class: "sentence" });
      const line = element("tr", {}, element("th", { scope: "row" }, this.name(i)), element("td", {}, row.value), element("td", {}, row.text), row.mine, row.engine, row.difference, row.verdict);
      $("#formulas tbody").append(line, element("tr", { class: "why" }, row.sentence));
      return row;
    });
    $("#names").textContent = names.slice(0, 40).join(", ") + (names.length > 40 ? `, … (${names.length} in all)` : "");
  }

  environment(data = this.graph.data) {
    const at = {};
    this.scene.nodes.forEach((node, i) => {
      if (node.key) at[node.key] = data[i];
    });
    return at;
  }

  fill() {
    const grad = this.graph.backward();
    for (const row of this.rows) {
      const x = this.graph.data[row.i];
      if (document.activeElement !== row.value) row.value.value = Number.isFinite(x) ? x : "";
      row.value.placeholder = Number.isFinite(x) ? "" : short(x);
      row.engine.textContent = short(grad[row.i], true);
      row.engine.title = grad[row.i];
      row.difference.textContent = this.rows.length <= 60 && !this.fixed ? short(this.graph.difference(row.i), true) : "";
      if (row.text.value.trim()) this.judge(row, grad);
    }
  }

  judge(row, grad = this.graph.backward()) {
    row.mine.textContent = row.sentence.textContent = row.verdict.textContent = "";
    row.verdict.className = "verdict";
    const text = row.text.value;
    if (!text.trim()) return;
    try {
      const run = formula(text, this.names);
      const mine = run(this.environment());
      const found = verdict(run, mine, grad[row.i], this.scene.slips[row.i], this.scene.points);
      row.mine.textContent = short(mine, true);
      row.mine.title = mine;
      row.verdict.textContent = { agrees: "✓ agrees", differs: "✗ differs" }[found.verdict] || "✗ agrees only here";
      row.verdict.classList.add(found.verdict === "agrees" ? "right" : "wrong");
      row.sentence.textContent = found.sentence || (found.verdict === "agrees" ? "" : "what is wrong with it cannot be told here; compare(…) in Python looks further");
    } catch (error) {
      if (!(error instanceof FormulaError)) throw error;
      row.verdict.textContent = "cannot be read";
      row.sentence.textContent = `${error.message} (at character ${error.column + 1})`;
    }
  }
}
