"use strict";
// Sorts tables by a click on a heading, and shows the rendering of the cell under the pointer. All else needs no script.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.dataset.sort === undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
      const order = head.dataset.sort === "number" ? (a, b) => key(a) - key(b) : (a, b) => key(a).localeCompare(key(b));
      body.append(...[...body.rows].sort((a, b) => sign * order(a, b)));
    });
  });
}
for (const map of document.querySelectorAll(".map")) {
  const pane = map.querySelector(".pane"), sheet = map.querySelector("img.sheet");
  const cells = [...map.querySelectorAll(".cells rect")], texts = cells.map((cell) => cell.textContent);
  const columns = Number(map.dataset.columns), rows = Number(map.dataset.rows);
  const [shown, told] = pane.children;
  shown.style.backgroundImage = `url(${sheet.src})`;
  shown.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
  const show = (at) => {
    map.querySelector(".on")?.classList.remove("on");
    cells[at].classList.add("on");
    const x = at % columns, y = rows - 1 - Math.floor(at / columns);
    shown.style.backgroundPosition = `${columns > 1 ? (100 * x) / (columns - 1) : 0}% ${rows > 1 ? (100 * y) / (rows - 1) : 0}%`;
    told.replaceChildren(...texts[at].split("\n").map((line) => {
      const part = document.createElement("div");
      part.className = "line";
      part.textContent = line;
      return part;
    }));
  };
  cells.forEach((cell, at) => {
    cell.replaceChildren();  // the pane tells it
    for (const event of ["pointerenter", "click"]) cell.addEventListener(event, () => show(at));
  });
  pane.hidden = false;
  show(Number(map.dataset.first));
}
