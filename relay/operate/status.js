
"use strict";
// Fetches the page again every three seconds and takes over what has changed, so
// that nothing flickers and tables stay where they were scrolled to.
(() => {
  const interval = 3000;
  const stale = document.getElementById("stale");
  let asOf = new Date();
  let busy = false;

  function takeOver(html) {
    const next = new DOMParser().parseFromString(html, "text/html");
    if (!next.getElementById("state")) throw new Error("not the status page");
    document.title = next.title;
    const selection = getSelection();
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = next.getElementById(old.id);
      // What somebody is selecting stays as it is until they are done.
      if (!fresh || fresh.innerHTML === old.innerHTML || (!selection.isCollapsed && selection.containsNode(old, true))) continue;
      old.replaceChildren(...fresh.childNodes);
    }
  }

  async function refresh() {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.statusText);
      takeOver(await answer.text());
      asOf = new Date();
      stale.hidden = true;
    } catch {
      stale.querySelector("span").textContent = `${asOf.toISOString().slice(11, 19)} UTC`;
      stale.hidden = false;
    }
    busy = false;
  }

  setInterval(refresh, interval);
  document.addEventListener("visibilitychange", refresh);
})();
