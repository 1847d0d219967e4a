"use strict";
// Sends a bundle in pieces, so that it goes on after a break, starts its trial,
// and shows what the box says of it.
const piece = 8 << 20, every = 2000, oldAfter = 10000; // bytes, ms
const $ = (id) => document.getElementById(id);
let answered = Date.now(), sending = false, marked = false;

function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

let silence;
function say(text) {
  $("answer").hidden = false;
  put($("answer"), text);
  clearTimeout(silence);
  silence = setTimeout(() => { $("answer").hidden = true; }, 20000);
}

async function ask(path, method = "GET", body, patience = 60000) {
  const answer = await fetch(path, { method, body, signal: AbortSignal.timeout(patience) });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { code: answer.status, received: said.received });
  answered = Date.now();
  return said;
}

function size(n) { return `${(n / 1e6).toFixed(1)} MB`; }

function show(u) {
  const { received, size: all, version } = u.incoming;
  $("progress").value = all ? received / all : 0;
  put($("received"), all ? `${size(received)} of ${size(all)}: ${version}` : "nothing");
  $("start").disabled = u.state !== "ready" || sending;
  $("drop").disabled = !all || sending || u.state === "trial";
  $("send").disabled = sending || u.state === "trial";
  marked = u.busy.busy;
  put($("busy"), marked ? "Not busy any more" : "Mark as busy");
  if (document.activeElement !== $("reason")) $("reason").value = u.busy.reason;
}

async function rows() {
  const answer = await fetch("/api/page", { signal: AbortSignal.timeout(5000) });
  for (const r of (await answer.json()).rows) {
    const e = document.querySelector(`#rows [data-id="${r.id}"]`);
    if (!e) continue;
    e.dataset.state = r.state || "";
    put(e.querySelector("dd"), r.text);
  }
}

// send goes on where the box is; from the start if that is another bundle's.
async function send(file) {
  let at = 0;
  const before = (await ask("/api/update")).incoming;
  if (before.size === file.size && before.received < before.size) at = before.received;
  for (let tries = 0; at < file.size;) {
    try {
      const u = await ask(`/api/update?offset=${at}`, "PUT", file.slice(at, at + piece), 300000);
      if (u.incoming.received === at) throw new Error("the box takes no more of it");
      at = u.incoming.received;
      tries = 0;
      show(u);
    } catch (e) {
      if (e.code && e.code !== 409 || ++tries > 20) throw e;
      await new Promise((r) => setTimeout(r, 1000));
      at = await ask("/api/update").then((u) => u.incoming.received, () => at);
    }
  }
}

async function attempt(work) {
  try {
    await work();
  } catch (e) {
    say(e.code ? e.message : `The box does not answer: ${e.message}`);
  }
}

$("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  sending = true;
  attempt(() => send($("file").files[0])).finally(() => { sending = false; });
});
$("start").addEventListener("click", () => attempt(async () => {
  const force = [$("older").checked && "older", $("overbusy").checked && "busy"].filter(Boolean).join(",");
  show(await ask(`/api/update/start?force=${force}`, "POST"));
  say("The box restarts. It will say here how the trial goes.");
}));
$("drop").addEventListener("click", () => attempt(async () => show(await ask("/api/update", "DELETE"))));
$("busyform").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => show(await ask("/api/busy", "PUT", JSON.stringify({ busy: !marked, reason: $("reason").value }))));
});

async function round() {
  if (!document.hidden) await Promise.allSettled([rows(), ask("/api/update", "GET", undefined, 8000).then(show)]);
  const age = Date.now() - answered, old = $("old");
  old.hidden = document.hidden || sending || age < oldAfter;
  put(old, old.hidden ? "" : `The box has not answered for ${Math.round(age / 1000)} s. It does so while it restarts.`);
  setTimeout(round, every);
}

round();
