// What the page has, and which side of it is shown.
"use strict";

const page = {};
const data = JSON.parse($("#data").textContent);

function turn(side) {
  for (const id of ["graph", "train"]) {
    $(`#${id}`).hidden = id !== side;
    $(`#to-${id}`).setAttribute("aria-pressed", id === side);
  }
  if (side === "train" && !page.trainer) page.trainer = new Trainer();
  if (side !== "train" && page.trainer) page.trainer.stop();
  if (side !== "graph" && page.explorer) page.explorer.stop();
}

if (data.nodes) page.explorer = new Explorer(data);
else $("#to-graph").hidden = true;
$("#to-graph").addEventListener("click", () => {
  turn("graph");
  page.explorer.toAddress();
});
$("#to-train").addEventListener("click", () => {
  turn("train");
  page.trainer.save();
});
// Somebody follows a link to another state of this page.
window.addEventListener("hashchange", () => {
  const side = data.nodes && !address.read().has("train") ? "graph" : "train";
  if (side === "train" && page.trainer) page.trainer.fromAddress();
  turn(side);
  if (side === "graph") page.explorer.visit();
});
turn(data.nodes && !address.read().has("train") ? "graph" : "train");
