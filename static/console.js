// What the console's pages do with scripts: they follow what happens, and copy.
"use strict";

document.documentElement.classList.add("js");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Without a secure context there is no clipboard: select it, so that one key copies it.
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    return;
  }
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = label; }, 1500);
});

(() => {
  const live = document.getElementById("live");
  if (!live || !window.EventSource) return;
  let fetching = false, again = false;

  // Puts what has changed in the place of what is shown; who is in the middle of a form stays there.
  const show = (next) => {
    const open = Array.from(live.querySelectorAll("details[open]"), (details) => details.id);
    const focus = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceChildren(...next.childNodes);
    open.filter(Boolean).forEach((id) => { const at = document.getElementById(id); if (at) at.open = true; });
    const focused = focus && document.getElementById(focus);
    if (focused) focused.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.href.split("#")[0], { headers: { "X-Live": "1" }, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (next) show(next);
      else if (answer.redirected) location.reload();
    } catch {
      // The server is away: the stream will tell when it is back.
    } finally {
      fetching = false;
      if (again) { again = false; refresh(); }
    }
  };

  const source = new EventSource(live.dataset.live);
  source.addEventListener("changed", refresh);
  source.addEventListener("ended", () => { source.close(); location.reload(); });
  let lost = false;
  source.addEventListener("error", () => { lost = true; });
  source.addEventListener("open", () => { if (lost) { lost = false; refresh(); } });
  addEventListener("pagehide", () => source.close());
})();
