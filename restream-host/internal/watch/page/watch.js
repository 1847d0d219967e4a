"use strict";
// The watch page: rooms from /api/rooms, one of them in the player. The room
// is in the address (#name), so that it can be shared.

const $ = (id) => document.getElementById(id);
const video = $("video");
let rooms = null; // as /api/rooms gave them
let current = ""; // name of the room that is open
let reachable = true;
let scriptReady = null; // promise of hls.js

const player = new Player(video, () => show());

async function poll() {
  try {
    const r = await fetch("/api/rooms", { cache: "no-store", signal: AbortSignal.timeout(3000) });
    if (!r.ok) throw new Error(r.status);
    rooms = await r.json();
    reachable = true;
    if (rooms.player) await loadScript();
    list();
    follow();
  } catch (e) {
    reachable = false;
  }
  show();
  setTimeout(poll, reachable ? 2000 : 1000);
}

// loadScript loads hls.js, which is embedded unless make deps could not get it.
function loadScript() {
  scriptReady ??= new Promise((done) => {
    const s = document.createElement("script");
    s.src = "vendor/hls.light.min.js";
    s.onload = s.onerror = done;
    document.head.append(s);
  });
  return scriptReady;
}

function wantedRoom() {
  const name = decodeURIComponent(location.hash.slice(1));
  if (rooms.rooms.some((r) => r.name === name)) return name;
  return rooms.rooms.length === 1 ? rooms.rooms[0].name : "";
}

// follow opens the room of the address once it is live, and closes a room
// that is left. A room that goes away is left open: the player goes on when
// it comes back.
function follow() {
  const name = wantedRoom();
  if (name !== current) {
    current = name;
    player.close();
    player.wanted = true;
  }
  const room = rooms.rooms.find((r) => r.name === current);
  if (room && room.live && !player.url && playable()) player.open(room.playlist);
}

function playable() {
  return !player.native || video.canPlayType("application/vnd.apple.mpegurl") !== "";
}

function list() {
  $("event").textContent = rooms.event;
  document.title = current ? `${current} · ${rooms.event}` : rooms.event;
  const ul = $("rooms");
  const items = rooms.rooms.map((r) => {
    const li = document.createElement("li");
    const a = document.createElement("a");
    a.className = "card";
    a.href = "#" + encodeURIComponent(r.name);
    a.setAttribute("aria-current", String(r.name === current));
    a.append(text("b", r.name), text("span", r.live ? "live" : "off", r.live ? "on" : "off"));
    const sizes = r.renditions.map((v) => v.height + "p").join(", ");
    a.append(text("small", [r.building && "building " + r.building, sizes].filter(Boolean).join(" · ")));
    li.append(a);
    return li;
  });
  // Rebuilding under the focus would lose it.
  const key = JSON.stringify([rooms.rooms, current]);
  if (ul.dataset.key !== key) {
    const focused = document.activeElement && document.activeElement.getAttribute("href");
    ul.replaceChildren(...items);
    ul.dataset.key = key;
    if (focused) ul.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }
}

function text(tag, content, cls) {
  const e = document.createElement(tag);
  e.textContent = content;
  if (cls) e.className = cls;
  return e;
}

// away says why there is no picture, or "".
function away(room) {
  if (!playable() && rooms.player) return "This browser can't play HLS.";
  if (!playable()) return "The player is not part of this build: run make deps and build again. Safari plays without it.";
  if (!room.live && !moving()) return "This room has no stream at the moment. It starts by itself when there is one.";
  if (!reachable && !moving()) return "The server does not answer. Trying again.";
  if (player.trouble && !moving()) return player.trouble;
  return "";
}

function moving() { return performance.now() - player.moved.at < 1500 && video.readyState > 2; }

function show() {
  if (!rooms) {
    $("listnote").textContent = reachable ? "Loading the rooms." : "The server does not answer. Trying again.";
    return;
  }
  $("listnote").textContent = reachable ? (rooms.rooms.length ? "" : "This event has no rooms.") : "The server does not answer. Trying again.";
  const room = rooms.rooms.find((r) => r.name === current);
  $("stage").hidden = !room;
  document.querySelector("main").classList.toggle("alone", !room);
  if (!room) return;
  const why = away(room);
  set($("away"), why);
  $("title").textContent = room.name + (room.building ? `, building ${room.building}` : "");
  set($("address"), location.origin + room.playlist);
  const playing = !video.paused;
  set($("play"), playing ? "Pause" : "Play");
  set($("mute"), video.muted ? "Sound on" : "Sound off");
  $("unmute").hidden = !(video.muted && playing && !why);
  quality();
  state(why, playing);
}

function state(why, playing) {
  const e = $("state");
  const late = player.behind > 4 && !why;
  $("golive").hidden = !(late || (!playing && !why && player.url));
  e.classList.toggle("live", playing && !why && !late);
  if (why) { set(e, room() && !room().live ? "Off air" : "Waiting"); return; }
  if (!playing) { set(e, player.wanted ? "Loading" : "Paused"); return; }
  const d = player.delay;
  const age = d < 0 ? "" : `, ${d.toFixed(0)} s delay`;
  set(e, (late ? `${player.behind.toFixed(0)} s behind live` : "Live") + (late ? "" : age));
}

function room() { return rooms.rooms.find((r) => r.name === current); }

function quality() {
  const heights = player.heights;
  $("qualitybox").hidden = heights.length < 2;
  const select = $("quality");
  const auto = player.level === -1 && player.height ? `Auto (${player.height}p)` : "Auto";
  const key = heights.join();
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(new Option(auto, "-1"), ...heights.map((h) => new Option(h + "p", String(h))));
    select.value = heights.includes(player.level) ? String(player.level) : "-1";
  }
  if (select.options.length) set(select.options[0], auto);
}

// set changes an element's text only when it differs, so that it is not read
// out again and again.
function set(e, s) { if (e.textContent !== s) e.textContent = s; }

function sound() {
  video.muted = !video.muted;
  if (video.volume === 0) video.volume = 1;
}

function full() {
  if (document.fullscreenElement) return document.exitFullscreen();
  if ($("screen").requestFullscreen) return $("screen").requestFullscreen().catch(() => {});
  if (video.webkitEnterFullscreen) video.webkitEnterFullscreen(); // iPhone
}

$("play").onclick = () => player.toggle();
video.onclick = () => player.toggle();
$("mute").onclick = sound;
$("unmute").onclick = sound;
$("full").onclick = full;
$("golive").onclick = () => player.goLive();
$("quality").onchange = (e) => player.choose(Number(e.target.value));
addEventListener("hashchange", () => { if (rooms) { follow(); list(); show(); } });
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || $("stage").hidden) return;
  const on = e.target instanceof Element ? e.target.tagName : "";
  if (on === "SELECT" || on === "INPUT") return;
  if (e.key === " " && on !== "BUTTON" && on !== "A") { e.preventDefault(); player.toggle(); }
  else if (e.key === "m") sound();
  else if (e.key === "f") full();
});
setInterval(show, 1000);
poll();
