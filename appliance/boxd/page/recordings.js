// The switch of the recording, disks to record to, who has copies, what goes.
// All of it is asked for again while the page is looked at.
import { $, ask as get, attempt, fill, follow, inWords, put, say } from "/page/ask.js";

const folder = `/recordings/${document.querySelector("main").dataset.name}/`;
const ask = (path, method, body) => get(path, { method, body: body && JSON.stringify(body) });

function showSwitch(state) {
  const record = $("record");
  record.disabled = false;
  put(record, state.on ? "Stop recording" : "Start recording");
  record.dataset.on = state.on;
  put($("said"), state.on ? "" : "Recording is switched off, until somebody switches it on or the box starts again.");
}

async function recordSwitch() {
  try {
    showSwitch(await (await ask("/api/recording")).json());
  } catch (e) {
    $("record").disabled = true;
    put($("said"), inWords(e));
  }
}

$("record").addEventListener("click", () => attempt(async () => {
  const on = $("record").dataset.on === "true";
  if (on && !confirm("Stop recording? What is sent meanwhile will not be on the box.")) return;
  showSwitch(await (await ask("/api/recording", "PUT", { on: !on })).json());
  say(on ? "Recording is switched off." : "Recording is switched on.");
}));

// now shows the box's own words on recorder and disk.
async function now() {
  const box = await (await ask("/api/page")).json();
  fill(box.rows, $("now"));
  $("now").hidden = false;
}

function diskRow(d) {
  const li = document.createElement("li");
  li.dataset.was = JSON.stringify(d);
  const size = d.bytes >= 1e10 ? Math.round(d.bytes / 1e9) : (d.bytes / 1e9).toFixed(1);
  li.append(`Disk ${d.name}${d.model ? ", " + d.model : ""}, ${size} GB: ${d.state === "mounted" ? "recordings go there" : d.text || d.state} `);
  if (d.state !== "empty") return li;
  const b = document.createElement("button");
  b.type = "button";
  b.textContent = "Record to it";
  b.setAttribute("aria-label", `Record to disk ${d.name}`);
  b.addEventListener("click", () => attempt(async () => {
    if (!confirm(`Make a file system on disk ${d.name} (${d.model || "no name"}, ${size} GB) and record to it?`)) return;
    await ask("/api/disks", "POST", { take: d.name });
    say(`Disk ${d.name}: recording moves there in a few seconds.`);
    b.remove();
  }));
  li.append(b);
  return li;
}

async function disks() {
  const list = (await (await ask("/api/disks")).json()).disks, ul = $("disks");
  ul.hidden = list.length === 0;
  const was = [...ul.children].map((li) => li.dataset.was);
  if (JSON.stringify(was) !== JSON.stringify(list.map((d) => JSON.stringify(d)))) ul.replaceChildren(...list.map(diskRow));
}

// files takes over rows that have changed; one that somebody is in stays.
async function files() {
  const url = new URL(location.href);
  for (const p of ["from", "to"]) url.searchParams.delete(p);
  url.searchParams.set("format", "html");
  const next = new DOMParser().parseFromString(await (await ask(url)).text(), "text/html");
  put($("summary"), next.getElementById("summary").textContent);
  const body = $("files"), rows = new Map([...body.rows].map((r) => [r.dataset.file, r]));
  body.closest("table").hidden = next.querySelector("table.files").hidden;
  const wanted = [...next.getElementById("files").rows].map((row) => {
    const old = rows.get(row.dataset.file);
    return old && (old.outerHTML === row.outerHTML || old.contains(document.activeElement)) ? old : document.importNode(row, true);
  });
  if (wanted.length !== body.rows.length || wanted.some((r, i) => r !== body.rows[i])) place(body, wanted);
}

// place puts rows in order without moving those that stay: a moved one loses
// the focus.
function place(body, wanted) {
  for (const r of [...body.rows]) if (!wanted.includes(r)) r.remove();
  wanted.forEach((r, i) => { if (body.rows[i] !== r) body.insertBefore(r, body.rows[i] || null); });
}

$("files").addEventListener("click", (ev) => attempt(async () => {
  const b = ev.target.closest("button");
  if (!b) return;
  const row = b.closest("tr"), file = row.dataset.file;
  if (b.classList.contains("copied")) {
    await ask(folder + "acknowledge", "POST", { sha256: [b.dataset.sha256] });
    say(`${file}: it may go when the disk is full.`);
  } else {
    const copied = "acknowledged" in b.dataset;
    if (!confirm(copied ? `Delete ${file} from the box? Somebody has a copy.` : `Nobody has said to have a copy of ${file}. Delete it for good?`)) return;
    await ask(folder + file + (copied ? "" : "?force=1"), "DELETE");
    say(`${file} is deleted.`);
  }
  const next = row.nextElementSibling?.querySelector("button") || $("list");
  next.focus();
  await files();
}));

follow(3000, async () => {
  for (const part of [now, recordSwitch, disks, files]) await part().catch(() => {});
});
