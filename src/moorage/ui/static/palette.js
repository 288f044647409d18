// Ctrl-K, or Cmd-K: goes to any page, image, tag or digest, and does what the page can do, by the keyboard.
// What it offers is what is on the page, what was visited before, and what the search page finds.

const dialog = document.getElementById("palette");
const box = document.getElementById("palette-box");
const list = document.getElementById("palette-list");
const told = document.getElementById("palette-told");
const opener = document.getElementById("palette-open");
const FOUND = { repository: "Images", tag: "Tags", digest: "Digests", label: "Labels" };
const KEPT = "moorage-recent";
const MOST_KEPT = 8;
const MOST_FOUND = 20;
const WAIT = 120;
const isApple = /^(Mac|iP)/.test(navigator.platform);
let items = [];
let active = 0;
let isChosen = false;
let found = [];
let asking = null;
let waiting = 0;

// Places are kept in this browser, for whoever was there: the next one who signs in, or out, finds none.
function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) || "null");
    if (kept && kept.who === dialog.dataset.who) return kept.places;
    localStorage.removeItem(KEPT);
  } catch {
    // The browser keeps nothing for pages, or what it kept is not ours: there are no recent places then.
  }
  return [];
}

function remember() {
  const places = recent();
  const isShown = document.querySelector("link[rel=alternate][type='application/json']");
  if (!isShown || !/^\/[rn]\//.test(location.pathname)) return;
  const tag = new URLSearchParams(location.search).get("tag");
  const here = {
    text: document.title.replace(/ · Moorage$/, ""),
    place: location.pathname + (tag ? `?tag=${encodeURIComponent(tag)}` : ""),
  };
  const others = places.filter((each) => each.place !== here.place && each.text !== here.text);
  try {
    localStorage.setItem(KEPT, JSON.stringify({
      who: dialog.dataset.who,
      places: [here, ...others].slice(0, MOST_KEPT),
    }));
  } catch {
    // As above.
  }
}

function links(selector, note = "") {
  return [...document.querySelectorAll(selector)].map((each) => (
    { section: "Go to", text: each.textContent.trim(), note, place: each.getAttribute("href") }
  ));
}

function actions() {
  const made = [...document.querySelectorAll("[data-do]")].map((each) => (
    { section: "Do", text: each.dataset.do, note: "", act: () => use(each) }
  ));
  for (const each of document.querySelectorAll("main .command")) {
    const text = each.querySelector("code").textContent;
    if (/^(docker|podman|helm|oras) pull /.test(text)) {
      return [{ section: "Do", text: "Copy the pull command", note: text, act: () => each.querySelector(".copy").click() }, ...made];
    }
  }
  return made;
}

function use(what) {
  if (what.tagName !== "SUMMARY") {
    what.click();
    if (what.tagName === "INPUT") what.focus();
    return;
  }
  what.parentElement.open = true;
  what.parentElement.querySelector("input:not([type=hidden])").focus();
}

// A reference as it is pasted leads to its page as it does behind the registry's address.
function pasted(text) {
  const name = text.replace(/^https?:\/\//, "");
  const reference = name.startsWith(`${location.host}/`) ? name.slice(location.host.length + 1) : name;
  return /^[a-z0-9][a-z0-9._/-]*(:[\w.-]+|@[a-z0-9]+:[0-9a-f]{32,})$/.test(reference)
    ? [{ section: "Go to", text: reference, note: "", place: `/${reference}` }]
    : [];
}

function offered(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const tabs = document.querySelector(".tabs");
  const own = [
    ...recent().map((each) => ({ section: "Recent", note: "", ...each }))
      .filter((each) => each.place !== location.pathname + location.search),
    ...links(".tabs a:not([aria-current])", tabs ? tabs.getAttribute("aria-label").replace(/^Of /, "") : ""),
    ...links(".rail a:not([aria-current])"),
    ...links(".top .menu-body a"),
    ...links("footer.foot a"),
    ...actions(),
  ].filter((each) => words.every((word) => `${each.text} ${each.note}`.toLowerCase().includes(word)));
  const rest = words.length ? [{ section: "Search", text: `Search for “${text}”`, note: "", place: `/search?q=${encodeURIComponent(text)}` }] : [];
  const [near, far] = [found.filter((each) => each.isNear), found.filter((each) => !each.isNear)];
  const places = new Set();
  return [...pasted(text), ...near, ...own, ...far, ...rest].filter((each) => {
    if (!each.place) return true;
    const isNew = !places.has(each.place);
    places.add(each.place);
    return isNew;
  });
}

function option(item, number) {
  const made = document.createElement("li");
  made.id = `palette-${number}`;
  made.setAttribute("role", "option");
  made.append(Object.assign(document.createElement("span"), { textContent: item.text }));
  if (item.note) made.append(Object.assign(document.createElement("small"), { textContent: item.note }));
  made.addEventListener("click", () => choose(number));
  return made;
}

function show() {
  const before = items[active];
  items = offered(box.value.trim());
  const sections = new Map();
  for (const item of items) sections.set(item.section, [...(sections.get(item.section) || []), item]);
  items = [...sections.values()].flat();
  let number = 0;
  list.replaceChildren(...[...sections].map(([name, of]) => {
    const [group, head] = [document.createElement("ul"), document.createElement("li")];
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", name);
    head.setAttribute("role", "presentation");
    head.setAttribute("aria-hidden", "true");
    head.textContent = name;
    group.append(head, ...of.map((item) => option(item, number++)));
    return group;
  }));
  const kept = isChosen && before ? items.findIndex((each) => each.text === before.text && each.place === before.place) : 0;
  point(Math.max(kept, 0));
}

function point(number) {
  const last = document.getElementById(`palette-${active}`);
  if (last) last.removeAttribute("aria-selected");
  active = number;
  const now = document.getElementById(`palette-${active}`);
  if (!now) {
    box.removeAttribute("aria-activedescendant");
    return;
  }
  now.setAttribute("aria-selected", "true");
  box.setAttribute("aria-activedescendant", now.id);
  now.scrollIntoView({ block: "nearest" });
}

function choose(number) {
  const item = items[number];
  if (!item) return;
  dialog.close();
  if (item.act) item.act();
  else location.assign(item.place);
}

function hit(each) {
  const [digest, tag] = [each.digest ? `@${each.digest.slice(0, 19)}…` : "", each.tags[0]];
  const isTag = each.kind === "tag";
  return {
    section: FOUND[each.kind],
    text: each.repository + (isTag ? `:${tag}` : digest),
    note: each.text || (isTag ? digest.slice(1) : each.tags.slice(0, 3).join(", ")),
    place: each.page + (isTag && digest ? `?tag=${encodeURIComponent(tag)}` : ""),
    isNear: each.match === "exact" && (each.kind === "digest" || each.kind === "repository"),
  };
}

async function ask(text) {
  asking = new AbortController();
  const { signal } = asking;
  try {
    const answer = await fetch(`/search.json?q=${encodeURIComponent(text)}`, { signal });
    if (answer.status === 401) {
      told.textContent = "You are signed out: load the page again.";
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const { hits } = await answer.json();
    if (signal.aborted) return;
    found = hits.slice(0, MOST_FOUND).map(hit);
    show();
    told.textContent = found.length ? `${found.length} found` : "Nothing found that you may read";
  } catch (problem) {
    if (problem.name !== "AbortError") told.textContent = "The registry does not answer the search.";
  }
}

function changed() {
  const text = box.value.trim();
  clearTimeout(waiting);
  if (asking) asking.abort();
  found = [];
  isChosen = false;
  told.textContent = "";
  show();
  if (text) waiting = setTimeout(ask, WAIT, text);
}

function open() {
  for (const each of document.querySelectorAll("dialog[open]")) each.close();
  box.value = "";
  changed();
  dialog.showModal();
  point(0);
  box.focus();
}

function pressed(event) {
  const last = items.length - 1;
  const to = {
    ArrowDown: active < last ? active + 1 : 0,
    ArrowUp: active > 0 ? active - 1 : last,
    PageDown: Math.min(active + 8, last),
    PageUp: Math.max(active - 8, 0),
  }[event.key];
  if (to !== undefined) {
    isChosen = true;
    point(to);
  } else if (event.key === "Enter" && !event.isComposing) {
    choose(active);
  } else {
    return;
  }
  event.preventDefault();
}

if (dialog) {
  remember();
  opener.hidden = false;
  for (const each of document.querySelectorAll("[data-palette]")) each.textContent = isApple ? "⌘ K" : "Ctrl K";
  opener.addEventListener("click", open);
  box.addEventListener("input", changed);
  box.addEventListener("keydown", pressed);
  // What is behind the dialog is the dialog as well, but not what is in it.
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.addEventListener("keydown", (event) => {
    const isOurs = event.key.toLowerCase() === "k" && !event.shiftKey && !event.altKey
      && (isApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey);
    if (!isOurs) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else open();
  });
}
