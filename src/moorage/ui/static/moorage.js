// What every page can do better with a script: copying, times that go on, keys, menus, panes.

// The page's other modules are asked for now that its style is there, not beside it: what people see comes first.
for (const address of document.querySelector("[data-then]").dataset.then.split(" ").filter(Boolean)) {
  document.head.append(Object.assign(document.createElement("script"), { type: "module", src: address }));
}

const said = document.getElementById("said");

function say(text) {
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

async function copy(button) {
  const source = button.dataset.copy || button.parentElement.querySelector("pre, code").textContent;
  try {
    await navigator.clipboard.writeText(source);
    say("Copied");
    button.title = "Copied";
    button.classList.add("ok");
    setTimeout(() => { button.title = button.ariaLabel; button.classList.remove("ok"); }, 1500);
  } catch {
    say("The browser does not let pages copy here. Select the text instead.");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) {
    copy(button);
    return;
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
});

// Of panes to choose from, the one that this browser chose last is shown first.

for (const panes of document.querySelectorAll("[data-remember]")) {
  const key = `moorage-${panes.dataset.remember}`;
  try {
    const kept = localStorage.getItem(key);
    for (const each of panes.querySelectorAll("input[type=radio]")) {
      if (each.value === kept) each.checked = true;
    }
  } catch {
    // The browser keeps nothing for pages: the first is shown.
  }
  panes.addEventListener("change", (event) => {
    try {
      localStorage.setItem(key, event.target.value);
    } catch {
      // As above.
    }
  });
}

// Single characters are keys where nobody writes. Each does what something on the page does; all can be
// turned off, for those who speak to their machines.
const sheet = document.getElementById("sheet");
const find = document.getElementById("find");
const TURNED = "moorage-keys";
const SOON = 1500;
let isOff = false;
let led = -SOON;

function isSeen(each) {
  return each.checkVisibility();
}

// What a row is opened by; one that has no such thing is passed over.
function opening(row) {
  return [...row.querySelectorAll("th a"), ...row.querySelectorAll("a, summary")].find(isSeen);
}

function all() {
  return [...document.querySelectorAll("main tbody tr, main .timeline > li, main .more")];
}

function isRow(each) {
  return !each.closest(".prose") && opening(each);
}

function step(by) {
  const rows = all().filter(isRow);
  const last = rows.findIndex((each) => each.contains(document.activeElement));
  const row = rows[Math.min(Math.max(last + by, 0), rows.length - 1)];
  if (!row) return;
  opening(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function sections() {
  return [...document.querySelectorAll(".rail [data-go]")].filter(isSeen);
}

function line(link) {
  const [made, keys, what] = ["div", "dt", "dd"].map((name) => document.createElement(name));
  for (const key of ["g", link.dataset.go]) {
    keys.append(Object.assign(document.createElement("kbd"), { textContent: key }), " ");
  }
  what.textContent = link.textContent.trim();
  made.append(keys, what);
  return made;
}

function list() {
  const has = { rows: all().some(isRow), pulls: document.querySelector("main tbody .command .copy") };
  const lines = sections().map(line);
  // All is looked at before anything is changed: the page is laid out once, not after each.
  for (const each of sheet.querySelectorAll("[data-of]")) each.hidden = !has[each.dataset.of];
  document.getElementById("sheet-go").replaceChildren(...lines);
  sheet.showModal();
}

const ACTS = new Map([
  ["/", () => { find.focus(); find.select(); }],
  ["?", list],
  ["j", () => step(1)],
  ["k", () => step(-1)],
  ["c", () => document.activeElement.closest("main tbody tr")?.querySelector(".command .copy")?.click()],
]);

function press(event) {
  const isSecond = event.timeStamp - led < SOON;
  led = -SOON;
  const isWriting = event.isComposing || event.target.isContentEditable || event.target.matches("input, textarea, select");
  const isOther = event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]");
  if (isOff || isWriting || isOther) return;
  if (event.key === "g") {
    led = event.timeStamp;
  } else if (isSecond) {
    sections().find((each) => each.dataset.go === event.key)?.click();
  } else if (ACTS.has(event.key)) {
    event.preventDefault();
    ACTS.get(event.key)();
  }
}

function turned() {
  try {
    isOff = localStorage.getItem(TURNED) === "off";
  } catch {
    // The browser keeps nothing for pages: what was chosen counts until the next one.
  }
  tell();
}

function turn(isOn) {
  isOff = !isOn;
  try {
    if (isOff) localStorage.setItem(TURNED, "off");
    else localStorage.removeItem(TURNED);
  } catch {
    // As above.
  }
  tell();
}

function tell() {
  document.getElementById("sheet-on").checked = !isOff;
  document.querySelector("#sheet-open kbd").hidden = isOff;
  find.placeholder = find.placeholder.replace(/ *\/$/, "") + (isOff ? "" : "  /");
}

if (sheet) {
  const opener = document.getElementById("sheet-open");
  opener.hidden = false;
  opener.addEventListener("click", list);
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet || event.target.closest("button")) sheet.close();
  });
  document.getElementById("sheet-on").addEventListener("change", (event) => turn(event.target.checked));
  document.addEventListener("keydown", press);
  // It may be chosen in another window, or on a page that one goes back from.
  for (const name of ["storage", "pageshow"]) addEventListener(name, turned);
  turned();
}

// Times say how long ago they were; a page that stays open goes on saying so.
const SPANS = [[60, 60, "min"], [3600, 24, "h"], [86400, 30, "d"], [2592000, 12, "mo"], [31536000, 1e6, "y"]];

function since(moment) {
  const seconds = Math.trunc((Date.now() - moment) / 1000);
  const length = Math.abs(seconds);
  if (length < 45) return seconds < 0 ? "in a moment" : "just now";
  let text = "";
  for (const [span, most, name] of SPANS) {
    const count = Math.max(1, Math.trunc(length / span));
    text = `${count} ${name}`;
    if (count < most) break;
  }
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

setInterval(() => {
  for (const each of document.querySelectorAll("time[datetime]:not([data-day])")) {
    each.textContent = since(Date.parse(each.dateTime));
  }
}, 30000);
