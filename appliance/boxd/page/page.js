"use strict";
// Asks the box for its rows and its picture once a second, while the page is
// looked at, and says when what it shows is old.
const oldAfter = 10000; // ms
let answered = Date.now();

function show(list, parent, fill) {
  for (const r of list) {
    const e = parent.querySelector(`[data-id="${r.id}"]`);
    if (!e) { location.reload(); return; } // the box has other parts now
    e.dataset.state = r.state || "";
    fill(e, r);
  }
}

function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

async function status() {
  const answer = await fetch("/api/page", { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(answer.statusText);
  const box = await answer.json();
  answered = Date.now();
  const state = document.getElementById("state");
  state.dataset.state = box.state;
  put(state.querySelector("b"), box.state);
  put(state.querySelector("span"), box.cause);
  show(box.rows, document.getElementById("rows"), (e, r) => put(e.querySelector("dd"), r.text));
  show(box.health, document.getElementById("health"), (e, r) => {
    put(e.querySelector("b"), r.state);
    put(e.querySelector("span"), r.text);
    put(e.querySelector("i"), r.old || "");
    put(e.querySelector(".age"), r.age);
    e.classList.toggle("stale", !!r.old);
  });
}

async function picture() {
  const img = document.getElementById("preview"), why = document.getElementById("nopreview");
  let text = "";
  try {
    const answer = await fetch("/preview.jpg", { signal: AbortSignal.timeout(5000) });
    if (answer.ok) {
      const url = URL.createObjectURL(await answer.blob());
      const before = img.src;
      img.src = url;
      if (before.startsWith("blob:")) URL.revokeObjectURL(before);
    } else {
      text = await answer.text();
    }
  } catch {
    text = "The box does not answer.";
  }
  img.hidden = text !== "";
  why.hidden = text === "";
  put(why, text);
}

async function round() {
  if (!document.hidden) await Promise.allSettled([status(), picture()]);
  const age = Date.now() - answered, old = document.getElementById("old");
  old.hidden = document.hidden || age < oldAfter;
  put(old, old.hidden ? "" : `The box has not answered for ${Math.round(age / 1000)} s: what is shown here is old.`);
  document.querySelector("main").classList.toggle("stale", !old.hidden);
  setTimeout(round, 1000);
}

round();
