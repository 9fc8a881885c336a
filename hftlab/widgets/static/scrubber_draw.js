// The track of a scrubber (the whole run, small) and its strip (the minutes around the moment, large).
// A run: span (ns), samples of SAMPLE numbers, fills of FILL, bands of BAND (see scrubber_pack.py); times are ns since its start.

const SAMPLE = 6, FILL = 4, BAND = 3, AXIS_PX = 66, FOOT_PX = 16;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400];

// The number of the first record at or after `ns`.
function firstAt(data, width, ns) {
  let low = 0, high = data.length / width;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (data[mid * width] < ns) low = mid + 1; else high = mid;
  }
  return low;
}

function drawBands(pen, run, X, width, height, c) {
  for (let k = 0; k < run.bands.length; k += BAND) {
    const from = Math.max(0, X(run.bands[k])), to = Math.min(width, X(run.bands[k + 1])), kind = run.bands[k + 2];
    if (to < 0 || from > width) continue;
    pen.globalAlpha = kind === 2 ? 0.3 : 0.16;
    pen.fillStyle = kind === 2 ? c.bad : kind === 3 ? c.warn : c.dim;
    pen.fillRect(from, 0, Math.max(2, to - from), height);
    pen.globalAlpha = 1;
    if (to - from > 40) {
      pen.font = "10px system-ui, sans-serif"; pen.textAlign = "left"; pen.textBaseline = "middle";
      pen.fillText(["", "no book", "halted", "paused"][kind], from + 4, 8);
    }
  }
}

// The whole run does not change while one goes through it: painted once for a size and a theme, then copied.
function trackPicture(run, width, height, ratio, c) {
  const key = [width, height, ratio, c.ink, c.bg, run.version].join();
  if (run.track && run.track.key === key) return run.track.canvas;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d"), X = (ns) => (ns / run.span) * width, s = run.samples, foot = height - 14;
  pen.scale(ratio, ratio);
  drawBands(pen, run, X, width, foot, c);
  let low = Infinity, high = -Infinity;
  for (let k = 0; k < s.length; k += SAMPLE) { if (s[k + 1] < low) low = s[k + 1]; if (s[k + 1] > high) high = s[k + 1]; }
  const Y = (v) => 4 + ((high - v) / (high - low || 1)) * (foot - 8);
  pen.strokeStyle = c.dim; pen.lineWidth = 1; pen.beginPath();
  for (let k = 0; k < s.length; k += SAMPLE) { const x = X(s[k]), y = Y(s[k + 1]); if (k) pen.lineTo(x, y); else pen.moveTo(x, y); }
  pen.stroke();
  for (let k = 0; k < run.fills.length; k += FILL) {
    const buy = run.fills[k + 2] > 0;
    pen.fillStyle = buy ? c.bid : c.ask;
    pen.fillRect(X(run.fills[k]) - 0.75, buy ? foot - 7 : 1, 1.5, 6);
  }
  pen.fillStyle = c.dim; pen.font = "10px " + c.mono; pen.textBaseline = "alphabetic"; pen.textAlign = "center";
  const step = timeStep(run.span / 1e9, width / 90), start = run.startMs;
  for (let t = Math.ceil(start / 1000 / step) * step; t * 1000 < start + run.span / 1e6; t += step) {
    const x = X((t * 1000 - start) * 1e6);
    if (x > 22 && x < width - 22) pen.fillText(clock(t * 1000, 0), x, height - 2);
  }
  run.track = { key, canvas };
  return canvas;
}

const timeStep = (seconds, count) => STEPS_S.find((s) => s >= seconds / Math.max(1, count)) || 86400;

function drawTrack(pen, width, height, run, ns, ratio, c) {
  pen.drawImage(trackPicture(run, width, height, ratio, c), 0, 0, width, height);
  const x = (ns / run.span) * width;
  pen.fillStyle = c.own;
  pen.globalAlpha = 0.12; pen.fillRect(0, 0, x, height - 14); pen.globalAlpha = 1;
  pen.fillRect(x - 1, 0, 2, height - 12);
  pen.beginPath(); pen.arc(x, height - 13, 5, 0, 2 * Math.PI); pen.fill();
}

function priceRange(run, from, to, now) {
  let low = Infinity, high = -Infinity;
  const see = (v) => { if (v === v) { if (v < low) low = v; if (v > high) high = v; } };
  const s = run.samples;
  for (let k = Math.max(0, firstAt(s, SAMPLE, from) - 1), end = Math.min(s.length / SAMPLE, firstAt(s, SAMPLE, to) + 1); k < end; k++)
    for (const column of [1, 2, 3]) see(s[k * SAMPLE + column]);
  for (let k = firstAt(run.fills, FILL, from), end = firstAt(run.fills, FILL, to); k < end; k++) see(run.fills[k * FILL + 1]);
  for (const v of now) see(v);
  const span = Math.max(high - low, 6 * run.tick);
  return low <= high ? [(low + high - span) / 2 - 0.08 * span, (low + high + span) / 2 + 0.08 * span] : null;
}

function stripLine(pen, run, column, from, to, X, Y, stepped) {
  const s = run.samples, start = Math.max(0, firstAt(s, SAMPLE, from) - 1), end = Math.min(s.length / SAMPLE, firstAt(s, SAMPLE, to) + 1);
  let down = false, last = 0;
  pen.beginPath();
  for (let k = start; k < end; k++) {
    const v = s[k * SAMPLE + column];
    if (v !== v) { if (down && stepped) pen.lineTo(X(s[k * SAMPLE]), last); down = false; continue; }
    const x = X(s[k * SAMPLE]), y = Y(v);
    if (!down) pen.moveTo(x, y);
    else { if (stepped && y !== last) pen.lineTo(x, last); pen.lineTo(x, y); }
    down = true; last = y;
  }
  pen.stroke();
}

function stripAxes(pen, run, width, height, from, to, range, X, Y, c) {
  const [low, high] = range, rough = (high - low) / Math.max(2, height / 44), power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= rough);
  pen.strokeStyle = c.grid; pen.fillStyle = c.dim; pen.font = "10px " + c.mono; pen.textBaseline = "middle"; pen.textAlign = "left"; pen.lineWidth = 1;
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
    const y = Math.round(Y(v)) + 0.5;
    pen.beginPath(); pen.moveTo(0, y); pen.lineTo(width - AXIS_PX, y); pen.stroke();
    pen.fillText(fixed(v, run.decimals), width - AXIS_PX + 6, y);
  }
  pen.textAlign = "center";
  const seconds = timeStep((to - from) / 1e9, (width - AXIS_PX) / 90), start = run.startMs + from / 1e6;
  for (let t = Math.ceil(start / 1000 / seconds) * seconds; t * 1000 < run.startMs + to / 1e6; t += seconds) {
    const x = X((t * 1000 - run.startMs) * 1e6);
    if (x > 24 && x < width - AXIS_PX - 20) pen.fillText(clock(t * 1000, seconds < 1), x, height - 5);
  }
}

// `now`: fair, our best bid, our best ask at the moment itself.
function drawStrip(pen, width, height, run, ns, half, now, c) {
  const from = ns - half, to = ns + half, right = width - AXIS_PX, floor = height - FOOT_PX;
  const range = priceRange(run, from, to, now);
  const X = (t) => ((t - from) / (to - from)) * right;
  if (!range) {
    pen.fillStyle = c.dim; pen.font = "12px system-ui, sans-serif"; pen.textAlign = "center";
    pen.fillText("no price here", right / 2, floor / 2);
    return;
  }
  const Y = (v) => 6 + ((range[1] - v) / (range[1] - range[0])) * (floor - 12);
  stripAxes(pen, run, width, height, from, to, range, X, Y, c);
  pen.save();
  pen.beginPath(); pen.rect(0, 0, right, floor); pen.clip();
  drawBands(pen, run, X, right, floor, c);
  pen.lineJoin = "round"; pen.lineWidth = 1.3;
  pen.strokeStyle = c.bid; stripLine(pen, run, 2, from, to, X, Y, true);
  pen.strokeStyle = c.ask; stripLine(pen, run, 3, from, to, X, Y, true);
  pen.strokeStyle = c.ink; pen.lineWidth = 1.1; stripLine(pen, run, 1, from, to, X, Y, false);
  for (let k = firstAt(run.fills, FILL, from), end = firstAt(run.fills, FILL, to); k < end; k++) {
    const side = run.fills[k * FILL + 2], x = X(run.fills[k * FILL]), y = Y(run.fills[k * FILL + 1]), d = side > 0 ? 1 : -1;
    pen.fillStyle = side > 0 ? c.bid : c.ask; pen.strokeStyle = c.bg; pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(x, y + d); pen.lineTo(x - 4.5, y + 8.5 * d); pen.lineTo(x + 4.5, y + 8.5 * d); pen.closePath();
    pen.fill(); pen.stroke();
  }
  // What comes after the moment was not known at it.
  pen.globalAlpha = 0.55; pen.fillStyle = c.bg; pen.fillRect(X(ns), 0, right - X(ns), floor); pen.globalAlpha = 1;
  pen.strokeStyle = c.own; pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(X(ns), 0); pen.lineTo(X(ns), floor); pen.stroke();
  [c.ink, c.bid, c.ask].forEach((colour, k) => {
    if (now[k] !== now[k]) return;
    pen.fillStyle = colour; pen.beginPath(); pen.arc(X(ns), Y(now[k]), 3, 0, 2 * Math.PI); pen.fill();
  });
  pen.restore();
  pen.font = "10.5px system-ui, sans-serif"; pen.textBaseline = "top"; pen.textAlign = "left";
  [["fair", c.ink], ["our bid", c.bid], ["our ask", c.ask]].forEach(([text, colour], k) => { pen.fillStyle = colour; pen.fillText(text, 6 + k * 52, 4); });
}
