// The training of the page: what one sees of it, and what one can change.
"use strict";

class Trainer {
  constructor() {
    this.edge = 1.35;
    this.own = [];
    for (const id of ["shape", "layers", "width", "activation", "seed", "batch"]) {
      $(`#${id}`).addEventListener("change", () => this.restart());
    }
    $("#rate").addEventListener("input", () => {
      this.show();
      this.save();
    });
    $("#train-play").addEventListener("click", () => this.play());
    $("#train-step").addEventListener("click", () => this.advance(1));
    $("#train-reset").addEventListener("click", () => this.restart());
    $("#clear").addEventListener("click", () => {
      this.own = [];
      $("#shape").value = "own";
      this.restart();
    });
    $("#boundary").addEventListener("click", (event) => this.add(event));
    document.addEventListener("keydown", (event) => {
      if ($("#train").hidden || typing(event)) return;
      if (event.key === "ArrowRight") this.advance(1);
      else if (event.key === " ") this.play();
      else return;
      event.preventDefault();
    });
    this.fromAddress();
  }

  get rate() {
    return Number((10 ** Number($("#rate").value)).toPrecision(2));
  }

  settings() {
    const values = { data: $("#shape").value, layers: $("#layers").value, width: $("#width").value, activation: $("#activation").value };
    const settings = { train: 1, ...values, seed: $("#seed").value, batch: $("#batch").value, rate: this.rate, updates: this.training.updates };
    if (values.data === "own") settings.points = this.own.map((p) => [...p.x, p.y].join(",")).join(";");
    return settings;
  }

  fromAddress() {
    const settings = address.read();
    const put = (id, value) => {
      const before = $(id).value;
      if (value !== null) $(id).value = value;
      if (!$(id).value) $(id).value = before; // it was none of the choices
    };
    put("#shape", settings.get("data"));
    for (const id of ["layers", "width", "activation", "seed", "batch"]) put(`#${id}`, settings.get(id));
    const rate = Number(settings.get("rate"));
    if (rate > 0) $("#rate").value = Math.log10(rate);
    this.own = [];
    for (const text of (settings.get("points") || "").split(";").slice(0, 500)) {
      const [x1, x2, y] = text.split(",").map(Number);
      if (Number.isFinite(x1) && Number.isFinite(x2) && (y === 0 || y === 1)) this.own.push({ x: [x1, x2], y });
    }
    this.restart(Math.min(Math.max(Number(settings.get("updates")) || 0, 0), 5000));
  }

  restart(updates = 0) {
    this.stop();
    const seed = Math.trunc(Number($("#seed").value)) || 0;
    const shape = $("#shape").value;
    const width = Math.max(1, Math.min(12, Math.round(Number($("#width").value)) || 1));
    $("#width").value = width;
    const sizes = Array(Number($("#layers").value)).fill(width);
    const data = shape === "own" ? this.own : points(shape, 100, seed);
    this.training = new Training({ sizes, activation: $("#activation").value, seed, data });
    this.show();
    if (updates) this.advance(updates);
    else this.save();
  }

  get batch() {
    return $("#batch").value === "all" ? Infinity : Number($("#batch").value);
  }

  advance(updates) {
    const every = Math.ceil(updates / 100);
    for (let k = 1; k <= updates; k++) {
      this.training.step(this.rate, this.batch);
      if (k < updates && k % every === 0) this.training.measure();
    }
    this.show();
    this.save();
  }

  play() {
    if (this.playing) return this.stop();
    $("#train-play").textContent = "❚❚ pause";
    const frame = () => {
      const until = performance.now() + 12;
      do this.training.step(this.rate, this.batch);
      while (performance.now() < until && this.batch < Infinity);
      this.show();
      this.playing = requestAnimationFrame(frame);
    };
    this.playing = requestAnimationFrame(frame);
  }

  stop() {
    if (this.playing) {
      cancelAnimationFrame(this.playing);
      this.save();
    }
    this.playing = null;
    $("#train-play").textContent = "▷ train";
  }

  save() {
    if (!$("#train").hidden) address.write(this.settings());
  }

  // A click puts a point of the chosen class there; with shift, of the other.
  add(event) {
    const box = event.target.getBoundingClientRect();
    const x1 = this.edge * ((2 * (event.clientX - box.left)) / box.width - 1);
    const x2 = this.edge * (1 - (2 * (event.clientY - box.top)) / box.height);
    const y = (Number($("#class").value) + Number(event.shiftKey)) % 2;
    if ($("#shape").value !== "own") {
      this.own = this.training.data.map((p) => ({ x: p.x.map((u) => Number(u.toFixed(3))), y: p.y }));
      $("#shape").value = "own";
    }
    this.own.push({ x: [x1, x2].map((u) => Number(u.toFixed(3))), y });
    this.training.data = this.own;
    this.show();
    this.save();
  }

  // ---- what one sees ----

  show() {
    const { training } = this;
    const { loss, accuracy } = training.measure();
    $("#rate-shown").textContent = this.rate;
    $("#updates").textContent = training.updates;
    $("#loss").textContent = short(loss);
    $("#accuracy").textContent = `${(100 * accuracy).toFixed(1)} %`;
    $("#diverged").hidden = Number.isFinite(loss);
    const cells = 36;
    const planes = training.plane(cells, this.edge);
    const style = getComputedStyle(document.body);
    this.colour = {};
    for (const name of ["pos", "neg", "paper", "ink", "faint", "line", "card"]) this.colour[name] = style.getPropertyValue(`--${name}`).trim();
    this.rgb = Object.fromEntries(["pos", "neg", "paper"].map((name) => [name, [1, 3, 5].map((i) => parseInt(this.colour[name].slice(i, i + 2), 16))]));
    this.boundary(planes.at(-1).values, cells);
    this.curve();
    this.network(planes, cells);
  }

  // A canvas at the resolution of the screen, drawn on in CSS pixels.
  canvas(id, width, height) {
    const canvas = $(id);
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.aspectRatio = `${width} / ${height}`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return context;
  }

  // Numbers over the plane as a small picture: blue above 0, orange below, by strength.
  picture(values, cells, strongest) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = cells;
    const image = new ImageData(cells, cells);
    values.forEach((x, i) => {
      const share = 0.75 * Math.min(1, Math.abs(x) / strongest || 0);
      const ink = x > 0 ? this.rgb.pos : this.rgb.neg;
      for (let k = 0; k < 3; k++) image.data[4 * i + k] = this.rgb.paper[k] + share * (ink[k] - this.rgb.paper[k]);
      image.data[4 * i + 3] = 255;
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  boundary(values, cells) {
    const size = 320;
    const context = this.canvas("#boundary", size, size);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.picture(values.map((z) => Math.tanh(z / 2)), cells, 1), 0, 0, size, size);
    const place = (x) => [(size / 2) * (1 + x[0] / this.edge), (size / 2) * (1 - x[1] / this.edge)];
    for (const point of this.training.data) {
      const [x, y] = place(point.x);
      context.beginPath();
      if (point.y) context.arc(x, y, 3.6, 0, 7);
      else context.rect(x - 3.2, y - 3.2, 6.4, 6.4);
      context.fillStyle = point.y ? this.colour.pos : this.colour.neg;
      context.strokeStyle = this.colour.paper;
      context.lineWidth = 1.2;
      context.fill();
      context.stroke();
    }
    if (this.training.sample) {
      const [x, y] = place(this.training.sample.x);
      context.beginPath();
      context.arc(x, y, 8, 0, 7);
      context.strokeStyle = this.colour.ink;
      context.lineWidth = 1.6;
      context.stroke();
    }
  }

  curve() {
    const [width, height] = [320, 110];
    const context = this.canvas("#curve", width, height);
    const { losses } = this.training;
    const finite = losses.filter(([, loss]) => Number.isFinite(loss));
    const most = Math.max(...finite.map(([, loss]) => loss), 1e-9);
    const last = Math.max(losses.at(-1)[0], 1);
    context.fillStyle = this.colour.faint;
    context.font = "11px sans-serif";
    context.fillText(short(most), 2, 11);
    context.fillText("0", 2, height - 4);
    context.textAlign = "right";
    context.fillText(`loss over ${last} updates`, width - 2, 11);
    context.beginPath();
    for (const [t, loss] of finite) context.lineTo(34 + ((width - 38) * t) / last, height - 6 - ((height - 24) * loss) / most);
    context.strokeStyle = this.colour.pos;
    context.lineWidth = 1.6;
    context.stroke();
  }

  // The units with their output over the plane, and what flows over the weights between them: w × δ, going back.
  network(planes, cells) {
    const { training } = this;
    const columns = [[null, null], ...training.layers];
    const gap = 54;
    const side = 40;
    const tallest = Math.max(...columns.map((column) => column.length));
    const width = 640;
    const height = Math.max(tallest * gap, 200) + 30;
    const context = this.canvas("#network", width, height);
    const x = (depth) => 30 + (depth * (width - 130)) / (columns.length - 1);
    const y = (depth, j) => 30 + (height - 30) / 2 + (j - (columns[depth].length - 1) / 2) * gap;
    const delta = training.delta;
    context.font = "11px sans-serif";
    context.textAlign = "center";
    context.fillStyle = this.colour.faint;
    columns.forEach((column, depth) => context.fillText(depth ? (depth < columns.length - 1 ? `layer ${depth}` : "output") : "inputs", x(depth) + side / 2, 14));
    training.layers.forEach((units, depth) => {
      const flows = units.flatMap((unit) => unit.weights.map((w) => this.flow(w, unit)));
      const strongest = Math.max(...flows.map(Math.abs).filter(Number.isFinite), 1e-300);
      units.forEach((unit, j) => {
        unit.weights.forEach((w, k) => {
          const share = Math.min(1, Math.abs(this.flow(w, unit)) / strongest);
          const [x1, y1, x2, y2] = [x(depth) + side, y(depth, k), x(depth + 1), y(depth + 1, j)];
          context.beginPath();
          context.moveTo(x1, y1);
          context.bezierCurveTo(x1 + (x2 - x1) * 0.45, y1, x2 - (x2 - x1) * 0.45, y2, x2, y2);
          context.strokeStyle = this.flow(w, unit) > 0 ? this.colour.pos : this.colour.neg;
          context.globalAlpha = 0.1 + 0.8 * share;
          context.lineWidth = 0.6 + 3 * share;
          context.stroke();
        });
      });
      context.globalAlpha = 1;
    });
    [0, 1].forEach((k) => this.unit(context, x(0), y(0, k), side, this.input(k, cells), cells, 1.35, `x${k + 1}`));
    planes.forEach(({ unit, values }) => {
      const depth = training.layers.findIndex((units) => units.includes(unit)) + 1;
      const j = training.layers[depth - 1].indexOf(unit);
      const strongest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
      const caption = delta ? `δ ${short(delta[unit.sum], true)}` : "";
      this.unit(context, x(depth), y(depth, j), side, values, cells, strongest, caption, delta && delta[unit.sum]);
    });
  }

  // What goes back over a weight: w δ for the sample that was seen last, before its update; before any, the weight.
  flow(w, unit) {
    const { training } = this;
    return training.delta ? training.shown[w] * training.delta[unit.sum] : training.graph.data[w];
  }

  input(k, cells) {
    return Float64Array.from({ length: cells * cells }, (_, i) =>
      k ? this.edge * (1 - (2 * Math.floor(i / cells) + 1) / cells) : this.edge * ((2 * (i % cells) + 1) / cells - 1));
  }

  unit(context, x, y, side, values, cells, strongest, caption, sign = 0) {
    context.drawImage(this.picture(values, cells, strongest), x, y - side / 2, side, side);
    context.strokeStyle = this.colour.line;
    context.lineWidth = 1;
    context.strokeRect(x, y - side / 2, side, side);
    context.textAlign = "left";
    context.fillStyle = sign > 0 ? this.colour.pos : sign < 0 ? this.colour.neg : this.colour.ink;
    context.lineWidth = 3;
    context.strokeStyle = this.colour.paper;
    context.strokeText(caption, x + side + 4, y + side / 2 - 1);
    context.fillText(caption, x + side + 4, y + side / 2 - 1);
  }
}
