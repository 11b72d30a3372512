// Signs a browser in. What signs in by a link stands behind `#`: browsers send that to nobody, and
// only a person's click uses the link up, not a preview of it.
"use strict";
const part = (id) => document.getElementById(id);
const say = (text) => { part("said").textContent = text; };
const show = (...ids) => {
  for (const id of ["link", "password", "out"]) part(id).hidden = !ids.includes(id);
};
const refused = {
  again: "That sign-in was begun in another browser, or too long ago. Begin again.",
  denied: "The provider did not sign you in. Try again, or ask who administers it.",
  unreachable: "The provider cannot be reached. Try again in a minute; the server's log says why.",
  busy: "Many people sign in at this moment. Try again in a minute.",
  token: "What the provider said of you does not hold. Ask who administers this server: its log says why.",
  unverified: "The provider does not say that your e-mail address is verified. Verify it there first.",
  outside: "Your account may not come in here. Ask who administers this server.",
  disabled: "Your user here is disabled. Ask who administers this server.",
  failed: "The server could not sign you in. Try again; its log says why.",
};
const word = new URLSearchParams(location.search).get("refused");
const link = location.hash.slice(1);
// It stays neither in the address bar nor in the history.
if (link) history.replaceState(null, "", location.pathname);

async function ask(method, path, body, csrf) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (csrf) headers["X-Quire-Csrf"] = csrf;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  const told = text ? JSON.parse(text) : {};
  if (!answer.ok) throw new Error(`${told.detail}: ${told.advice}`);
  return told;
}

function signedIn(name, csrf) {
  say(`You are signed in as ${name}.`);
  show("out");
  part("provider").hidden = true;
  part("out").onsubmit = (event) => {
    event.preventDefault();
    ask("POST", "/api/v1/sign-out", null, csrf).then(begin, (error) => say(error.message));
  };
}

function signIn(body) {
  ask("POST", "/api/v1/sign-in", body)
    .then(() => location.replace("/"), (error) => say(error.message));
}

async function begin() {
  say(Object.hasOwn(refused, word) ? refused[word] : "");
  const me = await ask("GET", "/api/v1/me").catch(() => null);
  if (me && !link) return signedIn(me.name, me.csrf);
  show(link ? "link" : "password");
  const means = await ask("GET", "/api/v1/sign-in").catch(() => ({}));
  part("provider").hidden = !means.provider;
  if (means.provider) part("provider").querySelector("span").textContent = means.provider;
}

part("link").onsubmit = (event) => { event.preventDefault(); signIn({ link }); };
part("password").onsubmit = (event) => {
  event.preventDefault();
  const sent = new FormData(event.target);
  signIn({ name: sent.get("name"), password: sent.get("password") });
};
begin();
