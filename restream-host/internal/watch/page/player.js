"use strict";
// Player plays one live HLS stream in a video element and goes on by itself
// after whatever happens to the servers: hls.js retries as long as it can, and
// a watchdog takes over when the picture stands still.

class Player {
  // changed is called with no arguments when anything shown may have changed.
  constructor(video, changed) {
    this.video = video;
    this.changed = changed;
    this.url = "";
    this.hls = null;
    this.level = -1; // wanted height; -1: automatic
    this.wanted = true; // the viewer wants it to play
    this.trouble = ""; // in words
    this.heights = [];
    this.moved = { time: 0, at: performance.now() };
    this.recovered = 0;
    for (const e of ["playing", "pause", "waiting", "volumechange", "loadedmetadata"]) {
      video.addEventListener(e, () => this.changed());
    }
    video.addEventListener("error", () => { if (!this.hls && this.url) this.retry("The stream broke off."); });
    setInterval(() => this.watchdog(), 500);
  }

  get native() { return !(window.Hls && window.Hls.isSupported()); }

  // open plays url; "" stops.
  open(url) {
    this.close();
    this.url = url;
    if (!url) return;
    this.moved = { time: -1, at: performance.now() };
    if (this.native) {
      this.video.src = url;
      this.play();
      return;
    }
    const hls = new Hls({
      liveSyncDurationCount: 3,
      maxBufferLength: 20,
      backBufferLength: 30,
      manifestLoadPolicy: { default: Player.policy(3) },
      playlistLoadPolicy: { default: Player.policy(20) },
      fragLoadPolicy: { default: Player.policy(6) },
    });
    this.hls = hls;
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      this.heights = [...new Set(hls.levels.map((l) => l.height))].sort((a, b) => b - a);
      this.choose(this.level);
      this.play();
      this.changed();
    });
    hls.on(Hls.Events.FRAG_BUFFERED, () => this.settle());
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.changed());
    hls.on(Hls.Events.ERROR, (_, data) => this.failed(data));
    hls.loadSource(url);
    hls.attachMedia(this.video);
  }

  // policy retries quickly and also when nobody listens, which hls.js by
  // itself takes for final.
  static policy(times) {
    const retry = {
      maxNumRetry: times, retryDelayMs: 250, maxRetryDelayMs: 1000,
      shouldRetry: (_, count) => count < times,
    };
    return { maxTimeToFirstByteMs: 3000, maxLoadTimeMs: 10000, timeoutRetry: retry, errorRetry: retry };
  }

  close() {
    clearTimeout(this.timer);
    this.trouble = "";
    this.heights = [];
    if (this.hls) this.hls.destroy();
    this.hls = null;
    this.url = "";
    this.video.removeAttribute("src");
    this.video.load();
  }

  settle() {
    if (this.trouble) { this.trouble = ""; this.changed(); }
  }

  failed(data) {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - this.recovered > 5000) {
      this.recovered = performance.now();
      this.hls.recoverMediaError();
      this.play();
      return;
    }
    this.retry("The connection was lost.");
  }

  // retry opens the stream anew in a second.
  retry(why) {
    this.trouble = why + " Trying again.";
    clearTimeout(this.timer);
    const url = this.url;
    this.timer = setTimeout(() => { const t = this.trouble; this.open(url); this.trouble = t; this.changed(); }, 1000);
    this.changed();
  }

  // watchdog notices a picture that should move and does not: what is loaded
  // ahead of a hole is jumped to, else loading is started again, else all.
  watchdog() {
    const now = performance.now(), v = this.video;
    this.catchUp();
    if (!this.url || !this.wanted || document.hidden || v.currentTime !== this.moved.time) {
      if (v.currentTime !== this.moved.time && v.currentTime > 0) this.settle();
      this.moved = { time: v.currentTime, at: now, tries: 0 };
      return;
    }
    const stood = now - this.moved.at, tries = this.moved.tries || 0;
    if (stood > 1500 && tries === 0) {
      this.moved.tries = 1;
      const next = this.bufferedAfter(v.currentTime);
      if (next >= 0) v.currentTime = next;
      if (this.hls && next < 0) this.hls.startLoad();
      this.play();
      this.changed();
    } else if (stood > 6000 && tries <= 1) {
      this.moved.tries = 2;
      this.retry("The picture stands still.");
    } else if (stood > 12000) {
      this.moved = { time: v.currentTime, at: now, tries: 0 };
    }
  }

  // catchUp plays a little faster after a stall, until live is reached again.
  catchUp() {
    const late = this.behind, fast = this.video.playbackRate > 1;
    const rate = this.hls && late > (fast ? 0.5 : 3) && late < 15 ? 1.05 : 1;
    if (this.video.playbackRate !== rate) this.video.playbackRate = rate;
  }

  bufferedAfter(t) {
    const b = this.video.buffered;
    for (let i = 0; i < b.length; i++) if (b.start(i) > t + 0.05) return b.start(i) + 0.05;
    return -1;
  }

  // play starts, muted when the browser allows nothing else.
  play() {
    if (!this.wanted) return;
    const p = this.video.play();
    if (!p) return;
    p.catch((err) => {
      if (err.name !== "NotAllowedError" || this.video.muted) return;
      this.video.muted = true;
      this.video.play().catch(() => {});
    });
  }

  toggle() {
    this.wanted = this.video.paused;
    if (this.wanted) { this.play(); } else { this.video.pause(); }
    this.changed();
  }

  // choose sets the height to show; -1 leaves it to hls.js.
  choose(height) {
    this.level = height;
    if (!this.hls || !this.hls.levels) return;
    const i = this.hls.levels.findIndex((l) => l.height === height);
    this.hls.nextLevel = i;
  }

  get height() {
    const l = this.hls && this.hls.levels && this.hls.levels[this.hls.currentLevel];
    return l ? l.height : this.video.videoHeight;
  }

  get edge() {
    if (this.hls && this.hls.liveSyncPosition) return this.hls.liveSyncPosition;
    const s = this.video.seekable;
    return s.length ? s.end(s.length - 1) - 6 : 0;
  }

  // behind is how far behind the live position the viewer is, in s.
  get behind() { return Math.max(0, this.edge - this.video.currentTime); }

  // delay is the age of the picture in s, by its program time; -1 unknown.
  get delay() {
    const date = this.hls ? this.hls.playingDate : null;
    const d = date ? (Date.now() - date.getTime()) / 1000 : -1;
    return d > 0 && d < 600 ? d : -1;
  }

  goLive() {
    this.wanted = true;
    if (this.edge > 0) this.video.currentTime = this.edge;
    this.play();
  }
}
