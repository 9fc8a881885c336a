// The scrubber: where one stands in a run, playing from there, and the wishes that go to the kernel (see scrubber.py).
// A frame: HEAD numbers (event, ns, state, position, P&L, fills, orders, market), then a ladder.

const HEAD = 8, FPS = 30, AHEAD_S = 2.5;
const SPEEDS = [["0.1×", 0.1, "time"], ["1×", 1, "time"], ["5×", 5, "time"], ["20×", 20, "time"], ["100×", 100, "time"],
                ["each event", 1, "event"], ["10 events", 10, "event"], ["100 events", 100, "event"]];
const WINDOWS = [["±2 s", 2], ["±10 s", 10], ["±30 s", 30], ["±2 min", 120], ["±10 min", 600]];

// What is on its way to be shown: frames in order, asked for before they are needed.
class Player {
  constructor(ask) { this.ask = ask; this.stop(); }

  stop() { this.frames = []; this.playing = false; this.waiting = false; this.ended = false; this.at = 0; this.id = 0; }

  start(frame, speed) {
    this.stop();
    [, this.factor, this.by] = speed;
    this.column = this.by === "event" ? 0 : 1;
    // A step is what one picture moves on; `at` moves on by `rate` a millisecond.
    this.step = this.by === "event" ? this.factor : Math.max(1, Math.round((this.factor * 1e9) / FPS));
    this.rate = (this.step * FPS) / 1000;
    this.at = this.asked = frame[this.column];
    this.playing = true;
    this.more();
  }

  more() {
    if (this.waiting || this.ended) return;
    this.waiting = true;
    this.id = Math.floor(Math.random() * 2 ** 40);
    this.from = this.asked + this.step;
    this.ask({ k: "play", id: this.id, by: this.by, from: this.from, step: this.step, count: Math.round(FPS * AHEAD_S) });
  }

  take(message, data) {
    if (!this.playing || message.id !== this.id) return;
    this.waiting = false;
    const width = data.length / message.count;
    for (let k = 0; k < message.count; k++) this.frames.push([this.from + k * this.step, data.subarray(k * width, (k + 1) * width)]);
    this.asked = this.from + (message.count - 1) * this.step;
    if (message.end) this.ended = true;
  }

  // The frame of the moment `ms` later, or null; time stands still while the frames are not here.
  advance(ms) {
    this.at = Math.min(this.at + ms * this.rate, this.asked);
    let found = null;
    while (this.frames.length && this.frames[0][0] <= this.at) found = this.frames.shift()[1];
    if (this.frames.length < FPS * AHEAD_S * 0.6) this.more();
    if (this.ended && !this.frames.length) this.playing = false;
    return found;
  }
}

function controls(root, act) {
  const bar = child(root, "div", "hft-scrub-bar");
  const press = (text, title, run) => { const b = child(bar, "button", "", text); b.type = "button"; b.title = title; b.addEventListener("click", run); return b; };
  press("◀◀ fill", "the fill before", () => act.find("fill", true));
  press("◀ order", "our request before", () => act.find("order", true));
  press("−1", "one event back", () => act.step(-1));
  const play = press("▶ play", "play, or stop (space)", act.toggle);
  press("+1", "one event on", () => act.step(1));
  press("order ▶", "our next request", () => act.find("order", false));
  press("fill ▶▶", "the next fill", () => act.find("fill", false));
  press("risk ▶▶", "the next change of state", () => act.find("risk", false));
  const choose = (label, options, start, changed) => {
    const box = child(bar, "label", "hft-dim", label + " "), select = child(box, "select");
    options.forEach(([text], k) => { const one = child(select, "option", "", text); one.value = k; });
    select.value = start;
    select.addEventListener("change", () => changed(+select.value));
    return select;
  };
  choose("speed", SPEEDS, 1, act.speed);
  choose("window", WINDOWS, 2, act.window);
  return { play, choose };
}

function canvasIn(parent, className, height) {
  const box = child(parent, "div", "hft-canvas " + className), canvas = child(box, "canvas");
  canvas.style.height = height + "px";
  return canvas;
}

function penOf(canvas, height) {
  const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1, w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width, ratio];
}

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-scrub");
    const page = Math.random().toString(36).slice(2), kept = { scale: 0 }, height = model.get("height_px"), TRACK_PX = 64;
    const run = { version: 0, span: 0, events: 0, samples: new Float64Array(), fills: new Float64Array(), bands: new Float64Array() };
    let info = null, frame = null, speed = SPEEDS[1], half = 30e9, colour = null, dirty = false, last = 0, dragging = false, target = null, sent = 0, seen = 0;

    const ask = (wish) => say(model, { ...wish, page });
    const player = new Player(ask);
    const go = (wish) => { player.stop(); ask({ ...wish, id: ++sent }); redraw(); };
    const eventNow = () => (frame ? frame[0] : 0);
    const act = {
      step: (n) => go({ k: "event", event: Math.max(0, eventNow() + n) }),
      find: (kind, back) => go({ k: "find", kind, back, event: eventNow() }),
      toggle: () => { if (player.playing) rest(); else if (frame) { target = null; player.start(frame, speed); redraw(); } },
      speed: (k) => { speed = SPEEDS[k]; if (player.playing && frame) player.start(frame, speed); },
      window: (k) => { half = WINDOWS[k][1] * 1e9; redraw(); },
    };
    // Stopped: the tables of this very moment are fetched.
    const rest = () => { player.stop(); ask({ k: "event", event: eventNow(), id: ++sent }); redraw(); };

    const top = child(el, "div", "hft-scrub-top hft-n"), wrong = child(el, "div", "hft-error"), notes = child(el, "div", "hft-dim hft-scrub-notes");
    const { play, choose } = controls(el, act);
    wrong.hidden = true;
    const track = canvasIn(el, "hft-scrub-track", TRACK_PX), main = child(el, "div", "hft-scrub-main");
    const strip = canvasIn(main, "hft-scrub-strip", height), ladder = canvasIn(main, "hft-scrub-ladder", height);
    const tables = child(el, "div", "hft-scrub-tables"), boxes = {};
    for (const [name, title] of [["facts", "state"], ["orders", "our orders and their places"], ["rows", "rows"], ["did", "what the last row led to"]]) {
      const box = child(tables, "div", "hft-scrub-" + name);
      child(box, "b", "", title);
      boxes[name] = child(box, "div");
    }
    Object.assign(track, { tabIndex: 0 });
    track.setAttribute("role", "slider");
    track.setAttribute("aria-label", "time in the run");

    const words = () => {
      if (!frame || !info) return "reading the run…";
      const one = info.instruments[frame[7]], state = info.states[frame[2]];
      const reading = run.span ? ` of ${run.events.toLocaleString("en")}` : `, reading the run: ${run.events.toLocaleString("en")} so far`;
      return `${info.name} · ${one.name} · ${clock(info.start_ms + frame[1] / 1e6, 1)} UTC · event ${frame[0].toLocaleString("en")}${reading} · ${state} · ` +
             `${fixed(frame[3], one.qty_decimals)} ${one.base} · P&L ${money(frame[4])} ${one.settle} · ${frame[5]} fills`;
    };
    const paint = () => {
      if (!colour || !frame || !info) { top.textContent = words(); return; }
      const ns = target === null ? frame[1] : target;
      top.textContent = words();
      play.textContent = player.playing ? "❚❚ stop" : "▶ play";
      if (run.span) {
        const [pen, width, ratio] = penOf(track, TRACK_PX);
        if (width) drawTrack(pen, width, TRACK_PX, run, ns, ratio, colour);
        track.setAttribute("aria-valuetext", clock(info.start_ms + ns / 1e6, 1));
      }
      const data = frame.subarray(HEAD), [pen, width] = penOf(strip, height);
      const depth = data[6], ours = (side) => {
        for (let k = 0; k < depth; k++) { const at = LADDER_HEAD + (side * depth + k) * LADDER_ROW; if (data[at + 2] > 0) return data[at]; }
        return NaN;
      };
      if (width) drawStrip(pen, width, height, run, ns, half, target === null ? [data[0], ours(0), ours(1)] : [NaN, NaN, NaN], colour);
      const [other, wide] = penOf(ladder, height);
      if (wide) paintLadder(other, wide, height, data, kept, colour);
    };
    // One animation frame at a time, and none while nothing moves: a page that rests costs nothing.
    const tick = (now) => {
      dirty = false;
      const ms = last ? Math.min(now - last, 200) : 0;
      last = now;
      if (player.playing) {
        const next = player.advance(ms);
        if (next) frame = next;
        if (!player.playing) rest();
      }
      paint();
      if (player.playing) redraw(); else last = 0;
    };
    const redraw = () => { if (!dirty) { dirty = true; requestAnimationFrame(tick); } };

    const onMessage = (message, buffers) => {
      if (message.page && message.page !== page) return;
      if (message.k === "info") {
        if (!info && message.instruments.length > 1) {
          choose("market", message.instruments.map((one) => [one.name]), message.market, (n) => go({ k: "market", n }));
        }
        info = message;
        const one = info.instruments[info.market];
        Object.assign(run, { startMs: info.start_ms, decimals: one.price_decimals, tick: one.tick, quote: one.quote, version: run.version + 1 });
      } else if (message.k === "reading") {
        run.events = message.events;
      } else if (message.k === "overview") {
        const [samples, fills, bands] = buffers.map(floats);
        Object.assign(run, { samples, fills, bands, span: Math.max(1, message.span_ns), events: message.events, version: run.version + 1 });
      } else if (message.k === "moment") {
        // The page plays on, or has seen a later answer: this one is old. A jump from Python (no page) always counts.
        if (message.page && (message.id < seen || player.playing)) return;
        if (message.page) seen = message.id; else player.stop();
        frame = floats(buffers[0]);
        // While somebody drags, the cursor is where the hand is, and the ladder follows.
        if (!message.page || message.id === sent) target = null;
        wrong.hidden = true;
        if (message.html) notes.innerHTML = message.html.notes;
        if (message.html) for (const name in boxes) boxes[name].innerHTML = message.html[name] || "–";
      } else if (message.k === "frames") {
        player.take(message, floats(buffers[0]));
      } else if (message.k === "error") {
        player.stop();
        target = null;
        wrong.textContent = message.text;
        wrong.hidden = false;
      }
      redraw();
    };
    model.on("msg:custom", onMessage);

    const drag = (e) => {
      if (!run.span) return;
      target = Math.round(Math.min(Math.max(e.offsetX / track.clientWidth, 0), 1) * run.span);
      go({ k: "ns", ns: target, light: dragging });
    };
    track.addEventListener("pointerdown", (e) => { dragging = true; track.setPointerCapture(e.pointerId); drag(e); });
    track.addEventListener("pointermove", (e) => { if (dragging) drag(e); });
    track.addEventListener("pointerup", (e) => { if (dragging) { dragging = false; drag(e); } });
    track.addEventListener("keydown", (e) => {
      const keys = { ArrowLeft: () => act.step(e.shiftKey ? -100 : -1), ArrowRight: () => act.step(e.shiftKey ? 100 : 1), " ": act.toggle,
                     Home: () => go({ k: "event", event: 0 }), End: () => go({ k: "event", event: run.events }) };
      if (keys[e.key]) { e.preventDefault(); e.stopPropagation(); keys[e.key](); }
    });
    const size = new ResizeObserver(redraw);
    size.observe(el);
    const stopTheme = onTheme(el, (c) => { colour = c; redraw(); });
    const stopBeat = heartbeat(model, el, () => 0);
    return () => { player.stop(); model.off("msg:custom", onMessage); size.disconnect(); stopTheme(); stopBeat(); };
  },
};
