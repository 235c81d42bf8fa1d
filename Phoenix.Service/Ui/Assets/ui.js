// Enhancements only: every page reads and works without this file.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const stored = localStorage.getItem("theme");
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;

  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  // Times are UTC in the document; readers see their own zone, with UTC in the title.
  const two = number => String(number).padStart(2, "0");
  function localise(scope) {
    for (const element of scope.querySelectorAll("time[datetime]")) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const short = element.hasAttribute("data-short");
      element.textContent = `${short ? "" : at.getFullYear() + "-"}${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
        + (short ? "" : "." + String(at.getMilliseconds()).padStart(3, "0"));
    }
  }

  function enhance(scope) {
    localise(scope);
    for (const hidden of scope.querySelectorAll("[data-copy][hidden], [data-theme-toggle][hidden], [data-live][hidden]")) hidden.hidden = false;
  }

  // ---- the span tree ----
  const rowsOf = tree => [...tree.querySelectorAll("a[role=treeitem]")];
  const level = row => Number(row.ariaLevel);

  function showBelow(tree) {
    let hiddenBelow = Infinity;
    for (const row of rowsOf(tree)) {
      row.hidden = level(row) > hiddenBelow;
      if (!row.hidden) hiddenBelow = row.ariaExpanded === "false" ? level(row) : Infinity;
    }
    for (const chunk of tree.querySelectorAll(".chunk")) {
      chunk.style.setProperty("--rows", chunk.querySelectorAll("a:not([hidden])").length);
    }
  }

  function expand(row, open) {
    if (!row.ariaExpanded || row.ariaExpanded === String(open)) return false;
    row.ariaExpanded = String(open);
    showBelow(row.closest("[data-tree]"));
    return true;
  }

  let opening;
  async function openSpan(link, push) {
    const address = new URL(link.href);
    const id = address.searchParams.get("span");
    const tree = document.querySelector("[data-tree]");
    for (const row of tree.querySelectorAll("[aria-selected=true]")) row.ariaSelected = "false";
    const row = document.getElementById("s" + id);
    if (row) row.ariaSelected = "true";
    if (push) history.pushState(null, "", address);
    opening?.abort();
    opening = new AbortController();
    const wanted = new URL(address);
    wanted.searchParams.set("pane", "true");
    try {
      const response = await fetch(wanted, { signal: opening.signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const pane = page.querySelector("[data-pane]");
      const shown = document.querySelector("[data-pane]");
      if (!pane || !shown) { location.assign(address); return; }
      enhance(pane);
      shown.replaceWith(pane);
    } catch (failure) {
      if (failure.name !== "AbortError") location.assign(address);
    }
  }

  document.addEventListener("click", async event => {
    const target = event.target;
    if (target.closest("[data-theme-toggle]")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
      return;
    }
    const copy = target.closest("[data-copy]");
    if (copy) {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.classList.add("done");
      setTimeout(() => copy.classList.remove("done"), 1200);
      return;
    }
    const row = target.closest("[data-tree] a");
    if (row && target.closest(".twist") && row.ariaExpanded) {
      event.preventDefault();
      expand(row, row.ariaExpanded === "false");
      return;
    }
    const link = row ?? target.closest("a[data-open]");
    if (link && event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && document.querySelector("[data-pane]")) {
      event.preventDefault();
      openSpan(link, true);
    }
  });

  document.addEventListener("keydown", event => {
    const row = event.target.closest?.("[data-tree] a");
    if (!row) return;
    const rows = rowsOf(row.closest("[data-tree]")).filter(other => !other.hidden);
    const at = rows.indexOf(row);
    const parent = () => rows.slice(0, at).findLast(other => level(other) < level(row));
    const next = {
      ArrowDown: () => rows[at + 1],
      ArrowUp: () => rows[at - 1],
      Home: () => rows[0],
      End: () => rows.at(-1),
      ArrowRight: () => expand(row, true) ? row : rows[at + 1],
      ArrowLeft: () => row.ariaExpanded === "true" && expand(row, false) ? row : parent(),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next()?.focus();
  });

  addEventListener("popstate", () => {
    const id = new URL(location.href).searchParams.get("span");
    const row = id ? document.getElementById("s" + id) : document.querySelector("[data-tree] a");
    if (row) openSpan(row, false); else location.reload();
  });

  // ---- lists ----
  document.addEventListener("change", event => {
    const form = event.target.closest("form[data-auto-submit]");
    if (form && event.target.matches("select")) form.requestSubmit();
  });

  // Empty fields stay out of the address.
  document.addEventListener("submit", event => {
    for (const field of event.target.querySelectorAll("input, select")) field.disabled = field.value === "";
    setTimeout(() => { for (const field of event.target.elements) field.disabled = false; });
  });

  async function refresh() {
    // The numbers of the project are not shown again, so they are not counted again.
    const response = await fetch(location.href, { headers: { "x-list-alone": "1" } });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const next = page.querySelector("[data-list]");
    const shown = document.querySelector("[data-list]");
    if (next && shown) { enhance(next); shown.replaceWith(next); }
  }

  // The next look comes after the one before has ended, however slow the server is; one that fails leaves the list as it is.
  let live;
  function follow(on) {
    clearTimeout(live);
    live = undefined;
    if (!on) return;
    const mine = live = setTimeout(async () => {
      const busy = document.hidden || document.querySelector("main details[open] :hover");
      if (!busy) await refresh().catch(() => {});
      if (live === mine) follow(true);
    }, 3000);
  }
  document.addEventListener("input", event => { if (event.target.matches("[data-live] input")) follow(event.target.checked); });

  document.addEventListener("DOMContentLoaded", () => {
    enhance(document);
    document.querySelector("[data-tree] [aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  });
})();
