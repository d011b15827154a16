// Points and the box on the canvas. Foreground and background differ in sign and shape, not in colour alone.

/** @typedef {import("../types.js").Prompts} Prompts */
/** @typedef {import("../types.js").Point} Point */
/** @typedef {import("../view.js").View} View */

const FOREGROUND = "#12a150";
const BACKGROUND = "#d93025";
const RADIUS = 6.5;

/**
 * @param {CanvasRenderingContext2D} context @param {View} view @param {Prompts} prompts
 * @param {{point: number} | "box" | null} selected
 */
export function drawPrompts(context, view, prompts, selected) {
  if (prompts.box) drawBox(context, view, prompts.box, selected === "box");
  prompts.points.forEach((point, at) => {
    const chosen = selected !== null && selected !== "box" && selected.point === at;
    drawPoint(context, view.toCanvas(point), point.label === 1, chosen);
  });
}

/** @param {CanvasRenderingContext2D} context @param {Point} at @param {boolean} foreground @param {boolean} selected */
function drawPoint(context, at, foreground, selected) {
  const radius = selected ? RADIUS + 1.5 : RADIUS;
  context.beginPath();
  if (foreground) context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  else context.rect(at.x - radius + 0.5, at.y - radius + 0.5, 2 * radius - 1, 2 * radius - 1);
  if (selected) {
    context.lineWidth = 6;
    context.strokeStyle = "#ffd400";
    context.stroke();
  }
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / 75%)";
  context.stroke();
  context.fillStyle = foreground ? FOREGROUND : BACKGROUND;
  context.fill();
  context.lineWidth = 1.7;
  context.strokeStyle = "white";
  context.stroke();
  context.beginPath();
  context.moveTo(at.x - 3, at.y);
  context.lineTo(at.x + 3, at.y);
  if (foreground) {
    context.moveTo(at.x, at.y - 3);
    context.lineTo(at.x, at.y + 3);
  }
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context @param {View} view @param {import("../types.js").Box} box
 * @param {boolean} selected
 */
function drawBox(context, view, [left, top, right, bottom], selected) {
  const from = view.toCanvas({ x: left - 0.5, y: top - 0.5 });
  const to = view.toCanvas({ x: right + 0.5, y: bottom + 0.5 });
  context.lineWidth = 3.4;
  context.strokeStyle = "rgb(0 0 0 / 70%)";
  context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
  context.lineWidth = 1.6;
  context.strokeStyle = selected ? "#ffd400" : "white";
  context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
  for (const x of [from.x, (from.x + to.x) / 2, to.x]) {
    for (const y of [from.y, (from.y + to.y) / 2, to.y]) {
      if (x === (from.x + to.x) / 2 && y === (from.y + to.y) / 2) continue;
      context.fillStyle = selected ? "#ffd400" : "white";
      context.fillRect(x - 3.5, y - 3.5, 7, 7);
      context.lineWidth = 1;
      context.strokeStyle = "rgb(0 0 0 / 80%)";
      context.strokeRect(x - 3.5, y - 3.5, 7, 7);
    }
  }
}

/** The crosshair of the keyboard. @param {CanvasRenderingContext2D} context @param {Point} at */
export function drawCrosshair(context, at) {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(at.x + 4 * dx, at.y + 4 * dy);
    context.lineTo(at.x + 14 * dx, at.y + 14 * dy);
  }
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / 75%)";
  context.stroke();
  context.lineWidth = 1.8;
  context.strokeStyle = "#ffd400";
  context.stroke();
}
