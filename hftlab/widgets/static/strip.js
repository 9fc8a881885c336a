// Price over time: fair, our quotes as steps, the touch as a thin band, fills as triangles, bands for gaps and halts.
// Buffer: HEAD numbers, then samples of SAMPLE, fills of FILL and bands of BAND numbers (see strip.py).

const HEAD = 8, SAMPLE = 6, FILL = 3, BAND = 3;
const AXIS_PX = 66, FOOT_PX = 16, TOP_PX = 6;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400];

function niceStep(span, count) {
  const raw = span / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  for (const m of [1, 2, 5, 10]) if (raw <= m * power) return m * power;
  return 10 * power;
}

class History {
  constructor() { this.rows = []; this.fills = []; this.bands = []; this.head = null; this.range = null; }

  take(data) {
    this.head = data.slice(0, HEAD);
    const [full, n, m, b] = this.head;
    if (full) { this.rows = []; this.fills = []; }
    let at = HEAD;
    // The last row is the present moment: it gives way to the next one.
    if (this.rows.length) this.rows.pop();
    for (let k = 0; k < n; k++, at += SAMPLE) this.rows.push(data.slice(at, at + SAMPLE));
    for (let k = 0; k < m; k++, at += FILL) this.fills.push(data.slice(at, at + FILL));
    this.bands = [];
    for (let k = 0; k < b; k++, at += BAND) this.bands.push(data.slice(at, at + BAND));
    const from = this.head[4];
    let old = 0;
    while (old + 1 < this.rows.length && this.rows[old + 1][0] < from) old++;
    if (old > 64) this.rows.splice(0, old);
    while (this.fills.length && this.fills[0][0] < from) this.fills.shift();
  }

  // Bounds on round numbers, changed only when the data leave them or use less than half: a calm axis.
  bounds() {
    let low = Infinity, high = -Infinity;
    const see = (v) => { if (v < low) low = v; if (v > high) high = v; };
    for (const r of this.rows) if (r[0] >= this.head[4]) for (const k of [1, 4, 5]) if (r[k] === r[k]) see(r[k]);
    for (const r of this.rows) if (r[0] >= this.head[4]) for (const k of [2, 3]) if (r[k] === r[k] && Math.abs(r[k] - r[1]) < 20 * this.head[7]) see(r[k]);
    for (const f of this.fills) see(f[1]);
    if (!(low <= high)) return null;
    const span = Math.max(high - low, 4 * this.head[7]);
    const held = this.range && low >= this.range[0] && high <= this.range[1] && span > 0.5 * (this.range[1] - this.range[0]);
    if (!held) this.range = [low - 0.08 * span, high + 0.08 * span];
    return this.range;
  }
}

function axes(pen, width, height, t0, t1, low, high, decimals, X, Y, tagY, c) {
  pen.font = "10px " + c.mono;
  pen.textBaseline = "middle";
  pen.strokeStyle = c.grid;
  pen.fillStyle = c.dim;
  pen.lineWidth = 1;
  pen.textAlign = "left";
  const step = Math.max(niceStep(high - low, Math.max(2, height / 44)), Math.pow(10, -decimals));  // a finer one has no label of its own
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
    const y = Math.round(Y(v)) + 0.5;
    pen.beginPath(); pen.moveTo(0, y); pen.lineTo(width - AXIS_PX, y); pen.stroke();
    if (!(Math.abs(y - tagY) < 14)) pen.fillText(fixed(v, decimals), width - AXIS_PX + 6, y);
  }
  pen.textAlign = "center";
  const least = (t1 - t0) / 1000 / Math.max(1, (width - AXIS_PX) / 90);
  const seconds = 1000 * (TIME_STEPS.find((s) => s >= least) || 86400);
  for (let t = Math.ceil(t0 / seconds) * seconds; t <= t1; t += seconds) {
    const x = X(t);
    if (x > 24 && x < width - AXIS_PX - 20) pen.fillText(clock(t, 0), x, height - 5);
  }
}

function line(pen, rows, column, X, Y, stepped) {
  pen.beginPath();
  let down = false, last = 0;
  for (const r of rows) {
    const v = r[column];
    if (v !== v) {
      if (down && stepped) pen.lineTo(X(r[0]), last);
      down = false;
      continue;
    }
    const x = X(r[0]), y = Y(v);
    if (!down) pen.moveTo(x, y);
    else { if (stepped && y !== last) pen.lineTo(x, last); pen.lineTo(x, y); }
    down = true; last = y;
  }
  pen.stroke();
}

function bands(pen, list, X, right, height, c) {
  for (const [from, to, kind] of list) {
    const x = Math.max(0, X(from)), w = Math.max(2, Math.min(right, X(to)) - x);
    if (x > right) continue;
    pen.globalAlpha = 0.14;
    pen.fillStyle = kind === 2 ? c.bad : c.dim;
    pen.fillRect(x, 0, w, height);
    pen.globalAlpha = 1;
    pen.textAlign = "left";
    pen.font = "10px system-ui, sans-serif";
    if (w > 34) pen.fillText(kind === 2 ? "halted" : "no book", x + 4, 8);
  }
}

function triangles(pen, fills, X, Y, c) {
  for (const [t, price, side] of fills) {
    const x = X(t), y = Y(price), d = side > 0 ? 1 : -1;
    pen.fillStyle = side > 0 ? c.bid : c.ask;
    pen.strokeStyle = c.bg;
    pen.beginPath();
    pen.moveTo(x, y + d); pen.lineTo(x - 4.5, y + 8.5 * d); pen.lineTo(x + 4.5, y + 8.5 * d);
    pen.closePath(); pen.fill(); pen.stroke();
  }
}

function tag(pen, width, y, text, back, front, c) {
  pen.fillStyle = back;
  pen.fillRect(width - AXIS_PX + 2, y - 8, AXIS_PX - 2, 16);
  pen.fillStyle = front;
  pen.font = "600 10.5px " + c.mono;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(text, width - AXIS_PX + 6, y + 0.5);
}

function crosshair(pen, mouse, width, height, rows, X, Y, unY, decimals, c) {
  const [x, y] = mouse;
  if (x > width - AXIS_PX || y > height - FOOT_PX) return;
  const row = rows.reduce((best, r) => (Math.abs(X(r[0]) - x) < Math.abs(X(best[0]) - x) ? r : best), rows[0]);
  pen.strokeStyle = c.dim;
  pen.setLineDash([2, 3]);
  pen.beginPath();
  pen.moveTo(x + 0.5, 0); pen.lineTo(x + 0.5, height - FOOT_PX); pen.moveTo(0, y + 0.5); pen.lineTo(width - AXIS_PX, y + 0.5);
  pen.stroke();
  pen.setLineDash([]);
  tag(pen, width, y, fixed(unY(y), decimals), c.line, c.ink, c);
  pen.font = "10.5px " + c.mono;
  pen.fillStyle = c.ink;
  pen.textAlign = "left";
  pen.fillText(`${clock(row[0], 1)}   fair ${fixed(row[1], decimals + 1)}   ours ${fixed(row[4], decimals)} / ${fixed(row[5], decimals)}`, 4, 8);
}

export default {
  render({ model, el }) {
    const history = new History();
    const paint = (pen, width, height, c, mouse) => {
      if (!history.head) return;
      const [, , , , t0, t1, decimals] = history.head, right = width - AXIS_PX;
      const range = history.bounds();
      const X = (t) => ((t - t0) / (t1 - t0)) * right;
      if (range) {
        const [low, high] = range, tall = height - FOOT_PX - TOP_PX;
        const Y = (v) => TOP_PX + ((high - v) / (high - low)) * tall;
        const fair = history.rows.length ? history.rows[history.rows.length - 1][1] : NaN;
        axes(pen, width, height, t0, t1, low, high, decimals, X, Y, Y(fair), c);
        pen.save();
        pen.beginPath(); pen.rect(0, 0, right, height - FOOT_PX); pen.clip();
        bands(pen, history.bands, X, right, height - FOOT_PX, c);
        pen.lineJoin = "round";
        pen.globalAlpha = 0.55; pen.lineWidth = 0.8; pen.strokeStyle = c.dim;
        line(pen, history.rows, 2, X, Y, true); line(pen, history.rows, 3, X, Y, true);
        pen.globalAlpha = 1; pen.lineWidth = 1.3;
        pen.strokeStyle = c.bid; line(pen, history.rows, 4, X, Y, true);
        pen.strokeStyle = c.ask; line(pen, history.rows, 5, X, Y, true);
        pen.strokeStyle = c.ink; pen.lineWidth = 1.1; line(pen, history.rows, 1, X, Y, false);
        pen.lineWidth = 1;
        triangles(pen, history.fills, X, Y, c);
        pen.restore();
        if (fair === fair) tag(pen, width, Y(fair), fixed(fair, decimals), c.ink, c.bg, c);
        if (mouse && history.rows.length)
          crosshair(pen, mouse, width, height, history.rows, X, Y, (y) => high - ((y - TOP_PX) / tall) * (high - low), decimals, c);
      } else {
        pen.fillStyle = c.dim; pen.font = "12px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
        pen.fillText("no valid book yet", right / 2, height / 2);
      }
    };
    return canvasWidget(model, el, { take: (data) => history.take(data), paint });
  },
};
