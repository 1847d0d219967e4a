// What the scripts of all pages do alike: ask the box, show its words, and say
// when it no longer answers.
export const $ = (id) => document.getElementById(id);

export function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

let answered = Date.now();

// ask throws what the box says is wrong, with the answer's status; without one
// the box has not answered.
export async function ask(path, { method = "GET", body, patience = 10000 } = {}) {
  const answer = await fetch(path, { method, body, signal: AbortSignal.timeout(patience) });
  answered = Date.now(); // one who says no is there, too
  if (answer.ok) return answer;
  const text = (await answer.text()).trim() || answer.statusText;
  let said = { error: text };
  try {
    said = JSON.parse(text);
  } catch {} // not every part of the box speaks JSON
  throw Object.assign(new Error(said.error || text), { status: answer.status });
}

export function inWords(e) {
  return e.name === "TimeoutError" || e instanceof TypeError ? "The box does not answer." : e.message;
}

// say shows what became of a wish, wherever on the page it was made. What went
// wrong stays until somebody has seen it.
let silence;
export function say(text, failed = false) {
  const answer = $("answer");
  answer.setAttribute("role", failed ? "alert" : "status");
  answer.dataset.state = failed ? "failed" : "";
  answer.hidden = false;
  put(answer.querySelector("span"), text[0].toUpperCase() + text.slice(1));
  clearTimeout(silence);
  if (!failed) silence = setTimeout(hush, 15000);
}

export function hush() {
  const answer = $("answer");
  answer.hidden = true;
}

export async function attempt(work) {
  try {
    await work();
  } catch (e) {
    say(inWords(e), true);
  }
}

// fill shows the box's own words in the rows that are there.
export function fill(list, parent, words = (e, r) => put(e.querySelector("dd"), r.text)) {
  for (const r of list) {
    const e = parent.querySelector(`[data-id="${r.id}"]`);
    if (!e) continue;
    e.dataset.state = r.state || "";
    words(e, r);
  }
}

// follow does the work now and then, for as long as somebody looks at the page,
// and says, however long the work takes, when what is shown is old. A silence
// that is expected is no alarm.
const oldAfter = 10000; // ms
export function follow(every, work, expected = () => "") {
  const round = async () => {
    if (!document.hidden) await work();
    setTimeout(round, every);
  };
  document.addEventListener("visibilitychange", () => { answered = Date.now(); });
  setInterval(showAge, 1000, expected);
  round();
}

function showAge(expected) {
  const age = Date.now() - answered, old = $("old"), why = expected();
  old.hidden = document.hidden || age < oldAfter;
  old.dataset.state = why ? "starting" : "";
  put(old, old.hidden ? "" : `The box has not answered for ${Math.round(age / 1000)} s: ${why || "what is shown here is old."}`);
  document.querySelector("main").classList.toggle("stale", !old.hidden);
}

document.querySelector("#answer button")?.addEventListener("click", hush);
