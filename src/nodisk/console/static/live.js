"use strict";
// Keeps the parts of a page that say where their news comes from (data-live) up to date. The server sends them as HTML,
// escaped by the same template as the page. Without this script, the page reloads itself.
for (const part of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(part.dataset.live);
  source.addEventListener("room", (event) => {
    // Keep the keyboard where it is: the same link, or the same filter.
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = event.data;
    if (focused !== null) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  });
  // The session has ended, or the server stops or refuses: ask again, as a page, which may lead to the sign-in.
  const again = () => {
    source.close();
    setTimeout(() => location.reload(), 5000);
  };
  source.addEventListener("end", again);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) again();
  });
}
