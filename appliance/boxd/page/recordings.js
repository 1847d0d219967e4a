"use strict";
// The switch of the recording, disks to record to, and who has copies.
const record = document.getElementById("record"), said = document.getElementById("said");

async function ask(path, method, body) {
  const answer = await fetch(path, { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.status === 204 ? null : answer.json();
}

function show(state) {
  record.disabled = false;
  record.textContent = state.on ? "Stop recording" : "Start recording";
  record.dataset.on = state.on;
  said.textContent = state.on ? "The box records." : "The box does not record, until it is told to or starts again.";
}

async function attempt(work) {
  try {
    await work();
  } catch (e) {
    said.textContent = e.message;
  }
}

record.addEventListener("click", () => attempt(async () => {
  const on = record.dataset.on === "true";
  if (on && !confirm("Stop recording? What is sent meanwhile will not be on the box.")) return;
  record.disabled = true;
  try {
    show(await ask("/api/recording", "PUT", { on: !on }));
  } finally {
    record.disabled = false;
  }
}));

for (const b of document.querySelectorAll(".copied")) {
  b.addEventListener("click", () => attempt(async () => {
    await ask(location.pathname + document.title.split(" ").pop() + "/acknowledge", "POST", { sha256: [b.dataset.sha256] });
    b.replaceWith("just now");
  }));
}

async function disks() {
  const list = (await ask("/api/disks", "GET")).disks, ul = document.getElementById("disks");
  ul.hidden = list.length === 0;
  ul.replaceChildren(...list.map((d) => {
    const li = document.createElement("li");
    li.append(`Disk ${d.name} ${d.model || ""} (${Math.round(d.bytes / 1e9)} GB): ${d.text || d.state} `);
    if (d.state === "empty") {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = "Record to it";
      b.addEventListener("click", () => attempt(async () => {
        if (!confirm(`Make a file system on ${d.name} and record to it?`)) return;
        await ask("/api/disks", "POST", { take: d.name });
        li.textContent = `Disk ${d.name}: recording moves there in a few seconds.`;
      }));
      li.append(b);
    }
    return li;
  }));
}

attempt(async () => show(await ask("/api/recording", "GET")));
attempt(disks);
