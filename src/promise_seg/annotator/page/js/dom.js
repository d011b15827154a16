// Elements by id and new ones. Text is always set as text: names come from files and people.

/** @template {Element} T @param {string} id @param {new () => T} kind @returns {T} */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} #${id}`);
  return found;
}

/** @param {string} id */
export const button = (id) => byId(id, HTMLButtonElement);
/** @param {string} id */
export const input = (id) => byId(id, HTMLInputElement);
/** @param {string} id */
export const part = (id) => byId(id, HTMLElement);

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, string>} [attributes] @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/**
 * A button with a picture, named for everybody.
 * @param {string} name @param {string} says @param {() => void} pressed
 */
export function iconButton(name, says, pressed) {
  const made = make("button", { type: "button", class: "icon", title: says, "aria-label": says }, icon(name));
  made.addEventListener("click", pressed);
  return made;
}

/** Replace a list's children without losing the focus inside it. @param {HTMLElement} list @param {Node[]} children */
export function refill(list, children) {
  if (children.length === list.childNodes.length && children.every((one, at) => one === list.childNodes[at])) return;
  const focus = document.activeElement;
  const key = focus instanceof HTMLElement && list.contains(focus) ? focus.dataset.key : undefined;
  const top = list.scrollTop;
  let at = list.firstChild;
  for (const child of children) {
    if (child === at) at = at.nextSibling;
    else list.insertBefore(child, at); // what stays in its place is not laid out again
  }
  while (at) {
    const after = at.nextSibling;
    at.remove();
    at = after;
  }
  list.scrollTop = top;
  if (!key || document.activeElement === focus) return;
  const again = list.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (again instanceof HTMLElement) again.focus();
}
