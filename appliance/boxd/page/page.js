// Asks the box for its rows and its picture once a second, while the page is
// looked at.
import { ask, fill, follow, put } from "/page/ask.js";

// show fills in a list, anew as a whole if the box has other parts now.
function show(list, parent, words) {
  if (list.some((r) => !parent.querySelector(`[data-id="${r.id}"]`))) location.reload();
  else fill(list, parent, words);
}

async function status() {
  const box = await (await ask("/api/page", { patience: 5000 })).json();
  const state = document.getElementById("state");
  state.dataset.state = box.state;
  put(state.querySelector("b"), box.state);
  put(state.querySelector("span"), box.cause);
  show(box.rows, document.getElementById("rows"));
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

follow(1000, () => Promise.allSettled([status(), picture()]));
