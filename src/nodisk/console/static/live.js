"use strict";
// Keeps the parts of a page that say where their news comes from (data-live) up to date. The server sends them as HTML,
// escaped by the same template as the page: the whole part, or an element of it that has changed, by its id. Without
// this script, the page reloads itself, or says that it doesn't.
for (const part of document.querySelectorAll("[data-live]")) follow(part);

// A table is a stop on the keyboard's way only while it is wider than its place and can be moved. Without this script,
// each is one.
const widths = new ResizeObserver((seen) => {
  for (const table of new Set(seen.map((one) => one.target.closest(".table")))) {
    const stops = table.scrollWidth > table.clientWidth || table === document.activeElement;
    if (stops) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
});
measure(document);

function measure(part) {
  for (const one of part.querySelectorAll(".table, .table > table")) widths.observe(one);
}

function follow(part) {
  const source = new EventSource(part.dataset.live);
  source.addEventListener("part", (event) => swap(part, event.data));
  source.addEventListener("piece", (event) => {
    const end = event.data.indexOf("\n");
    const piece = document.getElementById(event.data.slice(0, end));
    if (piece !== null && part.contains(piece)) swap(piece, event.data.slice(end + 1));
  });
  // The session has ended, or the server stops or refuses: ask again, as a page, which may lead to the sign-in. What
  // somebody writes meanwhile is not thrown away for that. A page on which this is by the way (data-quiet) says by
  // itself what has ended.
  const again = () => {
    source.close();
    if (part.dataset.quiet !== undefined) return;
    setTimeout(() => (written() ? follow(part) : location.reload()), 5000);
  };
  source.addEventListener("over", () => source.close());
  source.addEventListener("end", again);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) again();
  });
}

function swap(part, html) {
  // The first news is often what the page has already: swapping it would only take the ground from under a click.
  const told = document.createElement("template");
  told.innerHTML = html;
  if (said(told) === said(part)) return;
  // Keep the keyboard where it is (the same link, box, button or table), the boxes that are ticked, and how far tables
  // are moved sideways.
  const focused = part.contains(document.activeElement) ? place(document.activeElement) : null;
  const ticked = new Set(Array.from(part.querySelectorAll("input:checked"), (box) => box.value));
  const moved = new Map(Array.from(part.querySelectorAll(".table"), (table) => [table.getAttribute("aria-label"), table.scrollLeft]));
  part.innerHTML = html;
  for (const box of part.querySelectorAll("input")) box.checked = ticked.has(box.value);
  for (const table of part.querySelectorAll(".table")) table.scrollLeft = moved.get(table.getAttribute("aria-label")) ?? 0;
  if (focused !== null) part.querySelector(focused)?.focus({ preventScroll: true });
  measure(part);
}

function said(part) {
  return part.innerHTML.trim().replaceAll(' tabindex="0"', "");
}

function place(element) {
  if (element.matches(".table")) return `.table[aria-label="${CSS.escape(element.getAttribute("aria-label"))}"]`;
  if (element.matches("button")) {
    const value = element.value === "" ? "" : `[value="${CSS.escape(element.value)}"]`;
    return `form[action="${CSS.escape(element.form.getAttribute("action"))}"] button${value}`;
  }
  return element.matches("input")
    ? `input[value="${CSS.escape(element.value)}"]`
    : `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
}

function written() {
  const fields = document.querySelectorAll("textarea, input:not([type=checkbox], [type=hidden])");
  return Array.from(fields).some((field) => field.value !== field.defaultValue);
}
