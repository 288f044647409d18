// Spends a one-time link: asks what it is for, and sends the name and password that are chosen.

const TITLES = {
  setup: ["Make the first account", "It administers this registry: it invites others and decides who may do what."],
  invitation: ["You are invited", "Choose what you will sign in with."],
  password: ["Choose a new password", "Whatever was signed in with the old one is signed out."],
};
const secret = location.hash.slice(1);
const part = (id) => document.getElementById(id);

async function ask(path, body) {
  const answer = await fetch(`/api/v1${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
  });
  const told = await answer.json();
  if (!answer.ok) {
    throw new Error([told.title, told.detail].filter(Boolean).join(". "));
  }
  return told;
}

function show(title, lead) {
  part("title").textContent = title;
  part("lead").textContent = lead;
  document.title = `${title} · Moorage`;
}

function askFor(link) {
  show(...TITLES[link.kind]);
  const name = part("name");
  name.value = link.name || link.proposed_name;
  name.readOnly = link.name !== "";
  part("form").hidden = false;
  (name.value ? part("password") : name).focus();
  part("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(link);
  });
}

async function send(link) {
  const [name, password] = [part("name").value, part("password").value];
  if (password !== part("again").value) {
    part("problem").textContent = "The two passwords are not the same.";
    return;
  }
  part("problem").textContent = "";
  part("send").disabled = true;
  try {
    const path = link.kind === "setup" ? "/setup" : "/links/redeem";
    const made = await ask(path, { secret, password, ...(link.name ? {} : { name }) });
    history.replaceState(null, "", location.pathname);
    part("form").hidden = true;
    show(link.kind === "password" ? "The new password is in force" : "The account is made", `Its name is ${made.name}.`);
    part("command").textContent = `docker login -u ${made.name} ${location.host}`;
    part("done").hidden = false;
  } catch (problem) {
    part("problem").textContent = problem.message;
  }
  part("send").disabled = false;
}

function refuse() {
  show("This link is no longer good", "It was used, its time is over, or it was cut short. Ask for another one; "
    + "for the first account, the registry prints a new one when it starts.");
}

// An address without its end has no secret to ask about.
if (secret) {
  try {
    askFor(await ask("/links/find", { secret }));
  } catch {
    refuse();
  }
} else {
  refuse();
}
