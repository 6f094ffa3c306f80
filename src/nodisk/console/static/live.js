"use strict";
// Keeps the parts of a page that say where their news comes from (data-live) up to date. The server sends them as HTML,
// escaped by the same template as the page. Without this script, the page reloads itself.
for (const part of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(part.dataset.live);
  source.addEventListener("part", (event) => {
    // The first news is often what the page has already: swapping it would only take the ground from under a click.
    const told = document.createElement("template");
    told.innerHTML = event.data;
    if (told.innerHTML.trim() === part.innerHTML.trim()) return;
    // Keep the keyboard where it is (the same link, box or button), and the boxes that are ticked.
    const focused = part.contains(document.activeElement) ? place(document.activeElement) : null;
    const ticked = new Set(Array.from(part.querySelectorAll("input:checked"), (box) => box.value));
    part.innerHTML = event.data;
    for (const box of part.querySelectorAll("input")) box.checked = ticked.has(box.value);
    if (focused !== null) part.querySelector(focused)?.focus({ preventScroll: true });
  });
  // The session has ended, or the server stops or refuses: ask again, as a page, which may lead to the sign-in.
  // A page on which this is by the way (data-quiet) says by itself what has ended.
  const again = () => {
    source.close();
    if (part.dataset.quiet !== undefined) return;
    setTimeout(() => location.reload(), 5000);
  };
  source.addEventListener("over", () => source.close());
  source.addEventListener("end", again);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) again();
  });
}

function place(element) {
  if (element.matches("button")) {
    const value = element.value === "" ? "" : `[value="${CSS.escape(element.value)}"]`;
    return `form[action="${CSS.escape(element.form.getAttribute("action"))}"] button${value}`;
  }
  return element.matches("input")
    ? `input[value="${CSS.escape(element.value)}"]`
    : `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
}
