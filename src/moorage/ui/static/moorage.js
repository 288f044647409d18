// What every page can do better with a script: copying, times that go on, keys, menus.

document.documentElement.classList.add("scripted");
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
    button.setAttribute("title", "Copied");
    button.classList.add("ok");
    setTimeout(() => { button.setAttribute("title", "Copy"); button.classList.remove("ok"); }, 1500);
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
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const box = document.getElementById("find");
    if (box) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  }
});

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
