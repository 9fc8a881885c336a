// Shared by every widget of the desk: colours, freshness, the page's heartbeat, number texts.
// Each widget file is appended to this one, so that a page needs no network and no bundler.

const BEAT_MS = 1000;
const STALE_MS = 1000;

// Theme and page are asked for their colours, never told: the same file serves JupyterLab, Notebook and Voila.
function isDark(el) {
  const rgb = getComputedStyle(el).getPropertyValue("--jp-layout-color0") || "#fff";
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = rgb.trim();
  const hex = parseInt(pen.fillStyle.slice(1, 7), 16);
  return ((hex >> 16) & 255) * 0.3 + ((hex >> 8) & 255) * 0.59 + (hex & 255) * 0.11 < 128;
}

function readTheme(el) {
  const dark = isDark(el);
  el.classList.toggle("hft-dark", dark);
  const desk = el.closest(".hft-desk");
  if (desk) desk.classList.toggle("hft-dark", dark);
  const css = getComputedStyle(el);
  const colour = {};
  for (const name of ["bg", "ink", "dim", "line", "grid", "bid", "bidbg", "ask", "askbg", "own", "ok", "warn", "bad"])
    colour[name] = css.getPropertyValue("--hft-" + name).trim();
  colour.mono = css.getPropertyValue("--hft-mono").trim() || "monospace";
  return colour;
}

function onTheme(el, apply) {
  const now = () => el.isConnected && apply(readTheme(el));
  // The theme's style sheet can arrive after the attribute that names it.
  const soon = () => { now(); setTimeout(now, 150); setTimeout(now, 800); };
  const watch = new MutationObserver(soon);
  watch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  // A page that is loaded on a busy machine puts us on it seconds after we were made: a picture without colours is never drawn.
  const placed = new ResizeObserver(() => { if (el.isConnected) { placed.disconnect(); soon(); } });
  placed.observe(el);
  soon();
  return () => { watch.disconnect(); placed.disconnect(); };
}

// A page whose kernel is gone cannot send; the caller decides what that means.
function say(model, message) {
  try {
    model.send(message);
    return true;
  } catch {
    return false;
  }
}

const visible = (el) => el.isConnected && !document.hidden && el.getClientRects().length > 0 && getComputedStyle(el).visibility !== "hidden";

// "hello" asks for everything again; "beat" says that somebody looks, and how far this page has come. `seen` says whether somebody does,
// `more` what else a beat tells.
function heartbeat(model, el, received, { seen = () => visible(el), more = () => ({}) } = {}) {
  let greeted = false;
  const beat = () => {
    if (!seen()) { greeted = false; return; }
    greeted = say(model, { k: greeted ? "beat" : "hello", n: received(), ...more() });
  };
  const timer = setInterval(beat, BEAT_MS);
  const signals = ["visibilitychange", "hft-section"];
  signals.forEach((name) => document.addEventListener(name, beat));
  setTimeout(beat, 0);
  return () => { clearInterval(timer); signals.forEach((name) => document.removeEventListener(name, beat)); };
}

// A button for a thing that is not done by mistake: where `armed()` holds it asks once more.
const ARM_MS = 3000;
function button(parent, text, title, armed, press) {
  const node = document.createElement("button");
  node.type = "button";
  node.textContent = text;
  node.title = title;
  let timer = 0;
  const rest = () => { clearTimeout(timer); timer = 0; node.textContent = text; node.classList.remove("hft-armed"); };
  node.addEventListener("click", () => {
    if (armed() && !timer) {
      node.classList.add("hft-armed");
      node.textContent = "sure?";
      timer = setTimeout(rest, ARM_MS);
      return;
    }
    rest();
    press();
  });
  return parent.appendChild(node);
}

function child(parent, tag, className, text) {
  const node = document.createElement(tag);
  node.className = className || "";
  if (text) node.textContent = text;
  return parent.appendChild(node);
}

// The age of what is shown, counted on in the browser: a dead kernel cannot say that it is dead.
class Freshness {
  constructor(staleMs = STALE_MS) { this.born = performance.now(); this.heard = false; this.staleMs = staleMs; }
  hear(ageMs) { this.born = performance.now() - Math.max(0, ageMs); this.heard = true; }
  get ms() { return performance.now() - this.born; }
  get stale() { return this.ms > this.staleMs; }
  get since() { return clock(Date.now() - this.ms, 0); }
}

const two = (v) => String(v).padStart(2, "0");
function clock(ms, decimals) {
  const d = new Date(ms);
  const text = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
  return decimals ? `${text}.${String(d.getUTCMilliseconds()).padStart(3, "0")}` : text;
}

const fixed = (v, decimals) => (Number.isFinite(v) ? v.toFixed(decimals).replace("-", "\u2212") : "\u2013");

// As `money` of text.py: an amount with its sign and no fewer than three digits that say something.
function money(v) {
  const size = Math.abs(v), text = fixed(v, size > 0 ? Math.min(Math.max(2 - Math.floor(Math.log10(size)), 2), 8) : 2);
  if (!Number.isFinite(v)) return text;
  return /[1-9]/.test(text) ? (v > 0 ? "+" : "") + text : "+" + text.replace("\u2212", "");
}

function floats(view) {
  const copy = view.byteOffset % 8 ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) : null;
  return copy ? new Float64Array(copy) : new Float64Array(view.buffer, view.byteOffset, view.byteLength / 8);
}

// One canvas: `take(data)` keeps a message, `paint(pen, width, height, colour, mouse)` draws what was kept. Messages may come
// faster than the page paints: only what is kept when the next animation frame comes is drawn. `staleMs` is when its picture counts as old.
function canvasWidget(model, el, { take, paint, staleMs = STALE_MS }) {
  el.classList.add("hft", "hft-canvas");
  const canvas = el.appendChild(document.createElement("canvas"));
  const fresh = new Freshness(staleMs);
  let colour = null, wanted = false, number = 0, mouse = null, width = 0;
  canvas.style.height = model.get("height_px") + "px";

  const draw = () => {
    wanted = false;
    const height = model.get("height_px");
    if (!colour || !width) return;
    const ratio = window.devicePixelRatio || 1;
    const w = Math.round(width * ratio), h = Math.round(height * ratio);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    paint(pen, width, height, colour, mouse);
  };
  const redraw = () => { if (!wanted) { wanted = true; requestAnimationFrame(draw); } };

  const onMessage = (message, buffers) => {
    if (message.k !== "frame") return;
    number = message.n;
    fresh.hear(message.age);
    el.classList.remove("hft-stale");
    take(floats(buffers[0]));
    redraw();
  };
  model.on("msg:custom", onMessage);
  const size = new ResizeObserver(() => { width = canvas.clientWidth; redraw(); });
  size.observe(canvas);
  const ageing = setInterval(() => { if (fresh.heard) el.classList.toggle("hft-stale", fresh.stale); }, 250);
  const stopTheme = onTheme(el, (c) => { colour = c; redraw(); });
  const stopBeat = heartbeat(model, el, () => number);
  canvas.addEventListener("mousemove", (e) => { mouse = [e.offsetX, e.offsetY]; redraw(); });
  canvas.addEventListener("mouseleave", () => { mouse = null; redraw(); });
  return () => {
    model.off("msg:custom", onMessage);
    size.disconnect(); clearInterval(ageing); stopTheme(); stopBeat();
  };
}
