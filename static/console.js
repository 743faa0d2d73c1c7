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
  // Makes one node what another one is, and leaves what is the same: whoever reads, points at or has
  // the focus on something keeps his place.
  const become = (now, next) => {
    if (now.isEqualNode(next)) return;
    if (now.nodeName !== next.nodeName) { now.replaceWith(next); return; }
    if (now.nodeType !== Node.ELEMENT_NODE) { now.data = next.data; return; }
    for (const { name } of Array.from(now.attributes)) {
      // What was opened stays open.
      if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
    }
    for (const { name, value } of Array.from(next.attributes)) {
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
    const named = new Map(Array.from(now.children, (child) => [child.id, child]));
    let at = now.firstChild;
    for (const want of Array.from(next.childNodes)) {
      const alike = at && !at.id && at.nodeName === want.nodeName ? at : undefined;
      const have = want.id ? named.get(want.id) : alike;
      if (!have) { now.insertBefore(want, at); continue; }
      if (have === at) at = at.nextSibling; else now.insertBefore(have, at);
      become(have, want);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  };

  const show = (next) => {
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    become(live, next);
    // What moves loses the focus.
    const again = focused && (focused.isConnected ? focused : focused.id && document.getElementById(focused.id));
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
  };

  let pressed = false, marked = 0;
  const release = () => { pressed = false; };
  live.addEventListener("pointerdown", () => { pressed = true; });
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  document.addEventListener("selectionchange", () => { marked = performance.now(); });
  // Whoever is in the middle of a click, or has just marked something, is not disturbed.
  const isBusy = () => {
    const selection = getSelection();
    const marks = !selection.isCollapsed && live.contains(selection.anchorNode);
    return pressed || (marks && performance.now() - marked < 10000);
  };

  // With many accounts much happens at once: the page is fetched no more often.
  const EVERY = 1000;
  // Where the page is by its address: a form that was sent is not sent once more.
  const here = () => location.href.split("#")[0];
  let due = false, timer = 0, fetched = -EVERY;

  const refresh = () => {
    due = true;
    timer = timer || setTimeout(look, Math.max(0, fetched + EVERY - performance.now()));
  };

  const look = async () => {
    if (isBusy()) { timer = setTimeout(look, EVERY); return; }
    due = false;
    fetched = performance.now();
    try {
      const answer = await fetch(here(), { headers: { "X-Live": "1" }, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (next && isBusy()) due = true;
      else if (next) show(next);
      else if (answer.redirected) location.replace(here());
    } catch {
      // The server is away: the stream will tell when it is back.
    } finally {
      timer = 0;
      if (due) refresh();
    }
  };

  const source = new EventSource(live.dataset.live);
  source.addEventListener("changed", refresh);
  source.addEventListener("ended", () => { source.close(); location.replace(here()); });
  let lost = false;
  source.addEventListener("error", () => { lost = true; });
  source.addEventListener("open", () => { if (lost) { lost = false; refresh(); } });
  addEventListener("pagehide", () => source.close());
})();
