// What happens while the page is open appears on it: what is pushed, within two seconds, and a list that goes
// on, which is asked for again every few seconds.

const mark = document.getElementById("live");
const table = document.querySelector("[data-pushes]");
const list = document.querySelector("[data-live=asked]");
const said = document.getElementById("said");
const HIDDEN_FOR = 60000;
const AGAIN_AFTER = 60000;
const ASK_EVERY = 5000;
const ASK_AFTER_FAILURE = 20000;
let source = null;
let hidden = 0;
let again = 0;
let asking = 0;
let spoken = 0;

function state(text, name) {
  mark.textContent = text;
  mark.dataset.state = name;
}

function row(push, tag) {
  const made = document.getElementById("push-row").content.cloneNode(true);
  const parts = { repository: push.repository, tag, digest: push.digest.split(":")[1].slice(0, 12) };
  for (const [name, text] of Object.entries(parts)) {
    for (const each of made.querySelectorAll(`[data-part=${name}]`)) each.textContent = text;
  }
  for (const each of made.querySelectorAll("[data-page]")) each.href = push.page;
  for (const each of made.querySelectorAll("[data-image]")) each.href = `${push.image}?tag=${encodeURIComponent(tag)}`;
  for (const each of made.querySelectorAll("time")) each.dateTime = push.at;
  for (const each of made.querySelectorAll("[data-pull]")) {
    each.textContent = each.dataset.pull.replace("NAME", push.repository).replace("TAG", tag);
  }
  return made.firstElementChild;
}

// What was pushed just before the page was made is told behind it, and the row of it stays as it is. Rows
// say when to the second.
function isThere(push, tag) {
  const is = table.dataset.repository ? [tag, push.digest] : [push.repository, push.digest];
  const at = Math.floor(Date.parse(push.at) / 1000) * 1000;
  return [...table.rows].some((each) => {
    const words = each.dataset.is?.split(" ") ?? [];
    return is.every((word, n) => words[n] === word) && words.includes(tag) && Date.parse(each.querySelector("time").dateTime) >= at;
  });
}

function tell(push) {
  const only = table.dataset.repository;
  if (only && only !== push.repository) return;
  const tags = push.tags.filter((tag) => !isThere(push, tag));
  if (!tags.length) return;
  for (const tag of tags) {
    const made = row(push, tag);
    made.dataset.key = `${push.repository}:${tag}`;
    for (const each of table.querySelectorAll("tr[data-key]")) {
      if (each.dataset.key === made.dataset.key) each.remove();
    }
    table.prepend(made);
    made.classList.add("new");
    setTimeout(() => made.classList.remove("new"), 4000);
  }
  for (const each of document.querySelectorAll("[data-until-pushed]")) each.hidden = true;
  for (const each of document.querySelectorAll("[data-when-pushed]")) each.hidden = false;
  if (Date.now() - spoken > 5000) {
    spoken = Date.now();
    said.textContent = `${push.repository}:${tags[0]} was pushed`;
  }
}

function open() {
  if (source) return;
  clearTimeout(again);
  source = new EventSource(table.dataset.pushes);
  source.onopen = () => state("Live", "live");
  source.onerror = () => {
    state("Paused", "paused");
    // It comes back by itself from all but a refusal, as when too many pages listen.
    if (source.readyState !== EventSource.CLOSED) return;
    source = null;
    again = setTimeout(open, AGAIN_AFTER);
  };
  source.addEventListener("push", (event) => tell(JSON.parse(event.data)));
}

function close() {
  clearTimeout(again);
  if (source) source.close();
  source = null;
  state("Paused", "paused");
}

// Nothing in the list moves under the mouse or the keyboard, while a row is open, or text in it is chosen.
function isInUse() {
  const chosen = getSelection();
  const isRead = !chosen.isCollapsed && chosen.containsNode(list, true);
  return isRead || list.matches(":hover, :focus-within") || list.querySelector("details[open]");
}

function take(text) {
  const made = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live=asked]");
  if (made && !made.isEqualNode(list)) list.replaceChildren(...made.childNodes);
}

// Whoever may not see it any more is asked to sign in when the page is loaded anew, and not behind its back.
async function ask() {
  if (document.hidden) return;
  if (isInUse()) {
    asking = setTimeout(ask, ASK_EVERY);
    return;
  }
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.status < 500 && !answer.ok) {
      state("Paused", "paused");
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const text = await answer.text();
    if (!isInUse()) take(text);
    state("Live", "live");
    asking = setTimeout(ask, ASK_EVERY);
  } catch {
    // The server can't be reached, or is not able to answer: it is asked again, more seldom.
    state("Paused", "paused");
    asking = setTimeout(ask, ASK_AFTER_FAILURE);
  }
}

if (mark && table) {
  mark.hidden = false;
  open();
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(close, HIDDEN_FOR);
    else open();
  });
  addEventListener("pagehide", close);
}

if (mark && list) {
  mark.hidden = false;
  state("Live", "live");
  asking = setTimeout(ask, ASK_EVERY);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(asking);
    if (document.hidden) state("Paused", "paused");
    else ask();
  });
  addEventListener("pagehide", () => clearTimeout(asking));
}
