// One Tab stop for a group of controls, and arrow keys, Home and End inside it: the roving tabindex of the ARIA
// Authoring Practices Guide. When the focus is elsewhere, Tab leads to the control that is chosen.

/**
 * @typedef {object} Group
 * @property {string} items a selector of the controls
 * @property {string} chosen a selector of the control to which Tab leads
 * @property {"row" | "column" | "grid"} shape a row of controls, a column of them, or rows of several
 * @property {string} [rows] a selector of the rows of a grid
 */
/** @typedef {HTMLElement[][]} Lines the controls of each row, from top to bottom */

const WATCHED = ["aria-current", "aria-pressed", "data-active", "disabled", "hidden"];

/** @param {HTMLElement} element @param {Group} group */
export function rove(element, group) {
  const controls = (/** @type {Element} */ within) =>
    /** @type {HTMLElement[]} */ ([...within.querySelectorAll(group.items)]).filter((one) => !one.matches(":disabled"));

  const placeStop = () => {
    const found = controls(element);
    const focused = found.find((one) => one === document.activeElement);
    const stop = focused ?? found.find((one) => one.matches(group.chosen)) ?? found[0];
    for (const one of found) {
      const index = one === stop ? 0 : -1;
      if (one.getAttribute("tabindex") !== String(index)) one.tabIndex = index;
    }
  };

  /** @returns {Lines} */
  const lines = () => {
    if (group.shape === "row") return [controls(element)];
    if (group.shape === "column") return controls(element).map((one) => [one]);
    return [...element.querySelectorAll(group.rows ?? "")].map(controls).filter((one) => one.length > 0);
  };

  element.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.metaKey || event.shiftKey) return;
    const target = event.target instanceof HTMLElement && event.target.matches(group.items) ? event.target : null;
    const next = target && neighbour(lines(), target, event.key, event.ctrlKey);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  element.addEventListener("focusin", placeStop);
  element.addEventListener("focusout", placeStop);
  new MutationObserver(placeStop).observe(element, { attributeFilter: WATCHED, childList: true, subtree: true });
  placeStop();
}

/**
 * The control to which a key leads: at the ends it stays where it is.
 * @param {Lines} lines @param {HTMLElement} from @param {string} key @param {boolean} ctrl
 * @returns {HTMLElement | undefined} undefined if the key leads nowhere
 */
function neighbour(lines, from, key, ctrl) {
  const row = lines.findIndex((one) => one.includes(from));
  if (row < 0) return undefined;
  const line = lines[row];
  const column = line.indexOf(from);
  const ofRow = (/** @type {HTMLElement[] | undefined} */ other) => other?.[Math.min(column, other.length - 1)];
  const isColumn = lines.every((one) => one.length === 1);
  if (key === "Home") return isColumn || ctrl ? lines[0][0] : line[0];
  if (key === "End") return isColumn || ctrl ? lines.at(-1)?.at(-1) : line.at(-1);
  if (ctrl) return undefined;
  switch (key) {
    case "ArrowLeft": return line[column - 1];
    case "ArrowRight": return line[column + 1];
    case "ArrowUp": return ofRow(lines[row - 1]);
    case "ArrowDown": return ofRow(lines[row + 1]);
    default: return undefined;
  }
}
