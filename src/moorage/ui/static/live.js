// What is pushed while the page is open appears on it, within two seconds.

const mark = document.getElementById("live");
const table = document.querySelector("[data-pushes]");
const said = document.getElementById("said");
const HIDDEN_FOR = 60000;
const AGAIN_AFTER = 60000;
let source = null;
let hidden = 0;
let again = 0;
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
  source = new EventSource("/events");
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
