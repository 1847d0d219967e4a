// Sends a bundle in pieces, so that it goes on after a break, starts its trial,
// and shows what the box says of it.
import { $, ask, attempt, fill, follow, hush, put, say } from "/page/ask.js";

const piece = 8 << 20; // bytes
let now; // the box's state, as it said last
let sending = false;

async function api(path, options) {
  return (await ask(path, options)).json();
}

const size = (n) => (n / 1e6).toFixed(1);

// pace says how long the rest takes, from what has come so far.
let pace = { from: 0, since: 0 };
function rest(received, all) {
  const seconds = (Date.now() - pace.since) / 1000, speed = (received - pace.from) / seconds;
  if (!sending || seconds < 2 || speed <= 0) return "";
  return `, ${size(speed)} MB/s, ${Math.ceil((all - received) / speed)} s left`;
}

function show(u) {
  now = u;
  const { received, size: all, version } = u.incoming;
  const trial = u.state === "trial", older = all > 0 && u.incoming.build <= u.running.build, busy = u.refused && !trial;
  $("incoming").hidden = !all || trial;
  $("progress").value = all ? received / all : 0;
  put($("received"), received < all ? `${version}: ${size(received)} of ${size(all)} MB${rest(received, all)}` : `${version}: all ${size(all)} MB are there`);
  $("olderlabel").hidden = !older;
  $("overbusylabel").hidden = !busy;
  const why = received < all ? (sending ? "" : "Not all of it is there. Send it again: it goes on where it broke off.")
    : older && !$("older").checked ? "It is not newer than what runs."
    : busy && !$("overbusy").checked ? `The room is in use: ${u.refused}` : "";
  put($("why"), why || u.note || "");
  $("start").disabled = u.state !== "ready" || sending || why !== "";
  $("drop").disabled = sending;
  $("send").disabled = sending || trial;
  put($("busy"), u.busy.busy ? "Not busy any more" : "Mark as busy");
  put($("inuse"), u.busy.busy ? "" : busy ? `In use: ${u.refused}` : "");
  if (document.activeElement !== $("reason")) $("reason").value = u.busy.reason;
  $("reason").readOnly = u.busy.busy;
}

async function look() {
  await Promise.allSettled([
    ask("/api/page", { patience: 5000 }).then((a) => a.json()).then((box) => fill(box.rows, $("rows"))),
    api("/api/update", { patience: 8000 }).then(show),
  ]);
}

// send goes on where the box is, if that was this bundle; else from the start.
async function send(file) {
  const before = (await api("/api/update")).incoming;
  let at = before.size === file.size && before.received < before.size ? before.received : 0;
  let another = at > 0; // it may still turn out to be another one
  pace = { from: at, since: Date.now() };
  for (let tries = 0; at < file.size;) {
    try {
      const u = await api(`/api/update?offset=${at}`, { method: "PUT", body: file.slice(at, at + piece), patience: 300000 });
      if (u.incoming.received === at) throw new Error("The box takes no more of it.");
      at = u.incoming.received;
      tries = 0;
      another = false;
      show(u);
    } catch (e) {
      if (e.name === "NotReadableError") throw e;
      if (another && e.status === 400) {
        [at, another] = [0, false];
        continue;
      }
      if (e.status && e.status !== 409 || ++tries > 20) throw e;
      await new Promise((r) => setTimeout(r, 1000));
      at = await api("/api/update").then((u) => u.incoming.received, () => at);
    }
  }
}

$("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  hush();
  sending = true;
  $("send").disabled = true;
  attempt(async () => {
    await send($("file").files[0]);
    say("The bundle is there, as it was signed.");
  }).finally(() => { sending = false; look(); });
});

$("start").addEventListener("click", () => attempt(async () => {
  if (!confirm(`Restart ${document.querySelector("main").dataset.name} into ${now.incoming.version}, on trial? Its stream is away meanwhile.`)) return;
  const force = [$("older").checked && "older", $("overbusy").checked && "busy"].filter(Boolean).join(",");
  hush();
  show(await api(`/api/update/start?force=${force}`, { method: "POST", patience: 60000 }));
  fill([{ id: "update", state: "starting", text: "on trial: the box restarts" }], $("rows"));
  say("The box restarts. It says above how the trial goes.");
}));

$("drop").addEventListener("click", () => attempt(async () => {
  show(await api("/api/update", { method: "DELETE" }));
  $("upload").reset();
  $("file").focus();
  say("It is forgotten.");
}));

for (const id of ["older", "overbusy"]) $(id).addEventListener("change", () => show(now));

$("busyform").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    await ask("/api/busy", { method: "PUT", body: JSON.stringify({ busy: !now.busy.busy, reason: $("reason").value }) });
    await look();
  });
});

follow(2000, look, () => now?.state === "trial" ? "it restarts, on trial or back to the old version." : "");
