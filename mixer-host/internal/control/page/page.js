// The control page. The mixer tells by server-sent events what is; the page
// shows that and nothing else, so that all open pages agree.

const $ = (id) => document.getElementById(id);
const OLD = 10_000; // ms after which a picture or the page's own data is marked
const labels = {
  fullscreen: "Full screen",
  side_by_side_equal: "Side by side",
  side_by_side_preview: "Large and small",
  picture_in_picture: "Picture in picture",
};

let state = null; // the newest one from the mixer
let heard = performance.now(); // when it came
const cards = new Map(); // by role, and "mix"
const modes = new Map();

// --- changing things

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error((await answer.json()).error ?? answer.statusText);
    warn("");
  } catch (err) {
    warn(err.message);
    if (state) show(state); // take back what the page showed already
  }
}

const setScene = (scene) => post("api/scene", scene);
const setVolume = (source, change) => post("api/volume", { source, ...change });
const swap = () => state && setScene({ a: state.scene.b, b: state.scene.a });

let warning = "";
function warn(text) {
  warning = text;
  banner();
}

function banner() {
  const age = performance.now() - heard;
  const lost = age > 2500;
  document.body.classList.toggle("stale", lost);
  const text = lost ? `Nothing heard from the mixer for ${Math.round(age / 1000)} s. Trying again.` : warning;
  if ($("banner").textContent !== text) $("banner").textContent = text;
  $("banner").hidden = !text;
  if (lost) {
    $("health").textContent = "no connection";
    $("health").className = "badge failed";
  }
}

// --- building

function makeCard(role, name) {
  const el = $("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => el.querySelector(selector);
  const card = {
    el, role, img: find("img"), over: find(".over"), detail: find(".detail"), sides: {},
    meter: find(".meter"), bar: find(".bar"), hold: find(".hold"), lufs: find(".lufs"), alarm: find(".alarm"),
    slider: find("input"), db: find(".db"), mute: find(".mute"), peak: -120, peakAt: 0, dragging: false,
  };
  find(".name").textContent = name;
  card.img.alt = `Running picture: ${name}`;
  card.meter.ariaLabel = `Loudness of ${name}`;
  el.ariaLabel = name;
  el.classList.add(role);
  if (role !== "mix") addControls(card, find(".sides"), find(".fader"), name);
  $("pictures").append(el);
  cards.set(role, card);
  return card;
}

function addControls(card, sides, fader, name) {
  for (const side of ["a", "b"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `side ${side}`;
    button.textContent = side.toUpperCase();
    button.ariaLabel = `Show ${name} as ${side.toUpperCase()}`;
    button.onclick = () => setScene({ [side]: card.role });
    sides.append(" ", button);
    card.sides[side] = button;
  }
  fader.hidden = false;
  card.slider.ariaLabel = `Volume of ${name}`;
  card.slider.oninput = () => {
    card.dragging = true;
    showVolume(card, Number(card.slider.value));
    sendVolume(card);
  };
  card.slider.onchange = () => {
    card.dragging = false;
    sendVolume(card);
  };
  card.mute.ariaLabel = `Mute ${name}`;
  card.mute.onclick = () => setVolume(card.role, { mute: !state.audio[card.role].mute });
}

// A drag makes many events: one request at a time, the newest value last.
async function sendVolume(card) {
  card.again = card.sending;
  if (card.sending) return;
  card.sending = true;
  do {
    card.again = false;
    await setVolume(card.role, { volume: fromDecibel(Number(card.slider.value)) });
  } while (card.again);
  card.sending = false;
}

const bottom = -40; // the slider's left end is off
const fromDecibel = (db) => (db <= bottom ? 0 : Math.min(10 ** (db / 20), 4));
const toDecibel = (v) => (v <= 0 ? bottom : Math.max(bottom, Math.round(20 * Math.log10(v))));

function showVolume(card, db) {
  const text = db <= bottom ? "off" : `${db > 0 ? "+" : ""}${db} dB`;
  card.db.textContent = text;
  card.slider.setAttribute("aria-valuetext", text);
}

function makeModes(list) {
  list.forEach((mode, i) => {
    const button = $("mode").content.firstElementChild.cloneNode(true);
    button.querySelector(".icon").classList.add(mode);
    button.querySelector("kbd").textContent = i + 1;
    button.querySelector(".label").textContent = labels[mode] ?? mode;
    button.setAttribute("aria-keyshortcuts", i + 1);
    button.onclick = () => setScene({ mode });
    $("modes").append(button);
    modes.set(mode, button);
  });
}

// --- showing

function show(s) {
  state = s;
  if (!cards.size) {
    $("room").textContent = s.room;
    document.title = `Mixer: ${s.room}`;
    makeModes(s.modes);
    for (const source of s.sources) makeCard(source.role, source.name);
    makeCard("mix", "Mix");
    for (const role of cards.keys()) runStill(role);
  }
  for (const [mode, button] of modes) button.ariaPressed = String(mode === s.scene.mode);
  for (const source of s.sources) showSource(cards.get(source.role), source, s);
  showMix(cards.get("mix"), s);
  levels(s.levels);
  for (const [role, card] of cards) describeMeter(card, s.levels[role]);
}

function showSource(card, source, s) {
  for (const side of ["a", "b"]) {
    card.sides[side].ariaPressed = String(s.scene[side] === source.role);
    card.sides[side].classList.toggle("unused", side === "b" && s.scene.mode === "fullscreen");
  }
  const never = source.age_ms < 0;
  const old = never || source.age_ms > OLD;
  card.el.classList.toggle("old", old);
  const age = never ? "never had a picture" : old ? `picture ${Math.round(source.age_ms / 1000)} s old` : "";
  card.over.hidden = !source.cause && !old;
  setText(card.over, [source.cause, age].filter(Boolean).join(" · "));
  const counts = [
    source.late && `${source.late} late`,
    source.dropped && `${source.dropped} dropped`,
    source.restarts && `decoder restarted ${source.restarts} times`,
  ].filter(Boolean);
  setText(card.detail, [`${source.phase}, from ${source.address}`, ...counts].join("; "));
  const audio = s.audio[source.role];
  card.mute.ariaPressed = String(audio.mute);
  if (card.dragging || card.sending) return;
  card.slider.value = toDecibel(audio.volume);
  showVolume(card, toDecibel(audio.volume));
}

function showMix(card, s) {
  const readers = s.outputs.reduce((sum, o) => sum + o.readers, 0);
  setText(card.detail, `${s.outputs.map((o) => o.name).join(", ")}; ${readers} readers`);
  setText($("numbers"), `encoder ${Math.round(100 * s.encoder_load)} % · ${s.engine.skipped} frames skipped`);
  setText($("delay"), `The mix is ${s.delay_ms} ms behind its sources.`);
}

function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

const place = (level) => Math.max(0, Math.min(1, (level + 60) / 60));

function levels(all) {
  const now = performance.now();
  for (const [role, card] of cards) {
    const v = all[role];
    if (!v) continue;
    const loud = v.momentary_lufs;
    card.bar.style.transform = `scaleX(${place(loud)})`;
    card.bar.className = `bar${loud > -14 ? " high" : loud >= -30 ? " good" : ""}`;
    if (v.peak_dbfs >= card.peak || now - card.peakAt > 1500) {
      card.peak = v.peak_dbfs;
      card.peakAt = now;
    }
    card.hold.style.left = `calc(${100 * place(card.peak)}% + 1px)`;
    setText(card.lufs, loud > -70 ? `${loud.toFixed(1)} LUFS` : "no sound");
    setText(card.alarm, alarmOf(v));
  }
}

function alarmOf(v) {
  if (v.clipping) return "clipping";
  if (v.silent) return `silent for ${Math.round(v.silent_ns / 1e9)} s`;
  return v.dead_channel ? `${v.dead_channel} channel is dead` : "";
}

// What a screen reader says of the meter changes once a second, not ten times.
function describeMeter(card, v) {
  card.meter.ariaValueNow = Math.max(-60, Math.min(0, v.momentary_lufs)).toFixed(0);
  card.meter.ariaValueText = card.lufs.textContent;
}

// --- running pictures

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function runStill(role) {
  const card = cards.get(role);
  for (;;) {
    const began = performance.now();
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(`still/${role}.jpg`, { cache: "no-store" });
        if (!answer.ok) throw new Error(answer.statusText);
        const url = URL.createObjectURL(await answer.blob());
        const last = card.img.src;
        card.img.src = url;
        await card.img.decode().catch(() => {});
        if (last) URL.revokeObjectURL(last);
      } catch {
        await wait(1000);
      }
    }
    await wait(Math.max(100, 500 - (performance.now() - began)));
  }
}

// --- what comes from the mixer

const events = new EventSource("api/events");
events.addEventListener("state", (e) => {
  heard = performance.now();
  show(JSON.parse(e.data));
  banner();
});
events.addEventListener("levels", (e) => {
  heard = performance.now();
  levels(JSON.parse(e.data));
});

async function health() {
  try {
    const s = await (await fetch("api/status", { cache: "no-store" })).json();
    $("health").className = `badge ${s.state}`;
    setText($("health"), s.state === "ok" ? "all well" : `${s.state}: ${s.cause}`);
  } catch {
    // The banner says it.
  }
}
setInterval(banner, 500);
setInterval(health, 2000);
health();

$("swap").onclick = swap;
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.repeat || !state) return;
  const mode = state.modes[Number(e.key) - 1];
  if (mode) setScene({ mode });
  else if (e.key === "x" || e.key === "X") swap();
  else return;
  e.preventDefault();
});
