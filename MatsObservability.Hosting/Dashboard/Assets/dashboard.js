"use strict";

const rows = document.getElementById("rows");
const panel = document.getElementById("panel");
const logs = document.getElementById("logs");
const details = document.getElementById("details");
const filter = document.getElementById("filter");
const follow = document.getElementById("follow");
const connection = document.getElementById("connection");
const maxLines = 10000;

let selected = null;
let tab = "logs";
let logStream = null;

// Theme: the system's unless the reader chose one.
const stored = localStorage.getItem("theme");
if (stored) document.documentElement.dataset.theme = stored;
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});

const localTimes = () => document.querySelectorAll("time").forEach(time => {
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour12: false });
});

const mark = () => {
  const all = [...rows.rows];
  all.forEach(row => row.classList.toggle("selected", row.dataset.id === selected));
  const count = isCounted => all.filter(row => isCounted(row.dataset.mark)).length;
  document.getElementById("summary").textContent = `${count(value => value === "good")} of ${count(value => value !== "idle")} healthy`;
};

const stream = new EventSource("/rows");
stream.addEventListener("rows", message => {
  const focused = document.activeElement?.closest("tr")?.dataset.id;
  rows.innerHTML = message.data; // Made and encoded by the server.
  if (focused) [...rows.rows].find(row => row.dataset.id === focused)?.focus();
  localTimes();
  mark();
  if (selected && tab === "details") showDetails();
});
stream.onopen = () => { connection.hidden = true; };
stream.onerror = () => { connection.hidden = false; };

async function send(row, command) {
  row.querySelectorAll("button").forEach(button => { button.disabled = true; });
  const response = await fetch(`/api/resources/${encodeURIComponent(row.dataset.id)}/commands/${encodeURIComponent(command)}`, { method: "POST" });
  if (!response.ok) {
    const answer = await response.json().catch(() => null);
    append([{ number: "", text: `${command}: ${answer?.message ?? response.statusText}`, isError: true }]);
  }
}

rows.addEventListener("click", event => {
  const row = event.target.closest("tr");
  if (!row || event.target.closest("a")) return;
  const command = event.target.closest("button")?.dataset.command;
  if (command) send(row, command);
  else select(row);
});
rows.addEventListener("keydown", event => {
  if (event.key === "Enter" && event.target.tagName === "TR") select(event.target);
});

function select(row) {
  selected = row.dataset.id;
  document.getElementById("selected").textContent = row.dataset.name;
  panel.hidden = false;
  logs.replaceChildren();
  logStream?.close();
  logStream = new EventSource(`/api/resources/${encodeURIComponent(selected)}/logs`);
  logStream.onopen = () => logs.replaceChildren(); // After a lost connection the kept lines come again.
  logStream.addEventListener("lines", message => append(JSON.parse(message.data)));
  history.replaceState(null, "", `#${row.dataset.name}`);
  showTab(tab);
  mark();
}

const matches = text => !filter.value || text.toLowerCase().includes(filter.value.toLowerCase());

function append(lines) {
  const fragment = document.createDocumentFragment();
  for (const line of lines) {
    const element = document.createElement("div");
    element.dataset.line = line.number;
    element.textContent = line.text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
    element.classList.toggle("error", line.isError);
    element.hidden = !matches(element.textContent);
    fragment.append(element);
  }
  logs.append(fragment);
  while (logs.childElementCount > maxLines) logs.firstElementChild.remove();
  if (follow.checked) logs.scrollTop = logs.scrollHeight;
}

filter.addEventListener("input", () => {
  for (const line of logs.children) line.hidden = !matches(line.textContent);
});

async function showDetails() {
  const response = await fetch(`/details/${encodeURIComponent(selected)}`);
  if (response.ok) details.innerHTML = await response.text(); // Made and encoded by the server.
}

function showTab(name) {
  tab = name;
  document.querySelectorAll("[role=tab]").forEach(button => button.setAttribute("aria-selected", button.dataset.tab === name));
  logs.hidden = name !== "logs";
  details.hidden = name !== "details";
  filter.hidden = follow.parentElement.hidden = name !== "logs";
  if (name === "details") showDetails();
}

document.querySelectorAll("[role=tab]").forEach(button => button.addEventListener("click", () => showTab(button.dataset.tab)));
document.getElementById("close").addEventListener("click", () => {
  selected = null;
  panel.hidden = true;
  logStream?.close();
  history.replaceState(null, "", location.pathname);
  mark();
});

localTimes();
mark();
const linked = [...rows.rows].find(row => row.dataset.name === decodeURIComponent(location.hash.slice(1)));
if (linked) select(linked);
