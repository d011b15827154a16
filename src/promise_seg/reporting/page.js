"use strict";
// Tables that a reader can sort: each heading becomes a button.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const isNumeric = "numeric" in head.dataset;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const compared = (first, second) => {
        const a = first.cells[column].dataset.key;
        const b = second.cells[column].dataset.key;
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = isNumeric ? a - b : a.localeCompare(b);
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort(compared));
    });
  });
}
