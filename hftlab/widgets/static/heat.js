// Volatility as a map of colours: time to the right, a market or a horizon a row. One hue whose lightness says how much, readable to the
// colour-blind and in grey. Buffer: HEAD numbers, then the rows (see market.py).

const HEAD = 4, LABEL_PX = 74, FOOT_PX = 34, GAP_PX = 2, STOPS = 5;
const STALE_MAP_MS = 6000;  // it comes every two seconds

// Little is near the page's own colour, much is far from it, in both themes.
const RAMPS = { light: [[238, 243, 248], [8, 60, 120]], dark: [[29, 36, 46], [150, 208, 255]] };

function toneOf(c) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = c.bg;
  const [low, high] = parseInt(pen.fillStyle.slice(1, 3), 16) < 128 ? RAMPS.dark : RAMPS.light;
  return (share) => `rgb(${low.map((v, k) => Math.round(v + (high[k] - v) * share)).join(",")})`;
}

// Volatility spans decades: equal factors are equal steps of colour.
function scaleOf(values) {
  const known = values.filter((v) => v > 0);
  if (!known.length) return null;
  let low = Math.min(...known), high = Math.max(...known);
  if (high < 2 * low) { const middle = Math.sqrt(low * high); low = middle / Math.SQRT2; high = middle * Math.SQRT2; }
  return { low, high, share: (v) => (v > 0 ? Math.min(1, Math.max(0, Math.log(v / low) / Math.log(high / low))) : 0) };
}

const short = (v) => (v >= 100 ? v.toFixed(0) : v >= 0.1 || !(v > 0) ? v.toPrecision(2) : v.toFixed(Math.min(6, 1 - Math.floor(Math.log10(v)))));

export default {
  render({ model, el }) {
    let data = null;
    const take = (buffer) => { data = buffer; };
    const paint = (pen, width, height, c, mouse) => {
      if (!data) return;
      const [rows, columns, from, bucket] = data, labels = model.get("labels");
      const values = data.slice(HEAD), scale = scaleOf(values), tone = toneOf(c);
      const wide = (width - LABEL_PX) / columns, tall = (height - FOOT_PX) / Math.max(1, rows);
      pen.textBaseline = "middle";
      for (let r = 0; r < rows; r++) {
        pen.fillStyle = c.dim; pen.font = "10px " + c.mono; pen.textAlign = "right";
        pen.fillText(labels[r] || "", LABEL_PX - 6, (r + 0.5) * tall);
        for (let k = 0; k < columns; k++) {
          const v = values[r * columns + k];
          if (!scale || v !== v) { pen.fillStyle = c.grid; pen.globalAlpha = 0.5; } else pen.fillStyle = tone(scale.share(v));
          pen.fillRect(LABEL_PX + k * wide, r * tall, Math.max(1, wide - 0.5), tall - GAP_PX);
          pen.globalAlpha = 1;
        }
      }
      pen.fillStyle = c.dim; pen.font = "10px " + c.mono; pen.textAlign = "center";
      const every = Math.max(1, Math.ceil(columns / Math.max(1, (width - LABEL_PX) / 84)));
      for (let k = Math.floor(every / 2); k < columns; k += every) {
        const at = LABEL_PX + (k + 0.5) * wide;
        if (at < width - 22) pen.fillText(clock(from + k * bucket, 0).slice(0, bucket < 60000 ? 8 : 5), at, height - FOOT_PX + 7);
      }
      legend(pen, width, height, scale, tone, c);
      if (mouse) readOut(pen, width, height, c, mouse);
    };
    const legend = (pen, width, height, scale, tone, c) => {
      pen.textAlign = "left";
      pen.fillStyle = c.dim;
      if (!scale) { pen.fillText("not enough moves yet: a column needs 8", LABEL_PX, height - 8); return; }
      let at = LABEL_PX;
      for (let k = 0; k < STOPS; k++) {
        const v = scale.low * Math.pow(scale.high / scale.low, k / (STOPS - 1));
        pen.fillStyle = tone(k / (STOPS - 1)); pen.fillRect(at, height - 13, 12, 10);
        pen.fillStyle = c.dim; pen.fillText(short(v), at + 15, height - 8);
        at += 68;
      }
      if (at + 40 < width) pen.fillText("bps/\u221as", at, height - 8);
    };
    const readOut = (pen, width, height, c, [x, y]) => {
      const [rows, columns, from, bucket] = data;
      const k = Math.floor((x - LABEL_PX) / ((width - LABEL_PX) / columns)), r = Math.floor(y / ((height - FOOT_PX) / rows));
      if (k < 0 || k >= columns || r < 0 || r >= rows) return;
      const v = data[HEAD + r * columns + k];
      const text = `${model.get("labels")[r]}  ${clock(from + k * bucket, 0)}  ${v === v ? short(v) + " bps/\u221as" : "unknown"}`;
      pen.font = "11px " + c.mono;
      const room = pen.measureText(text).width + 12, left = Math.min(width - room, Math.max(LABEL_PX, x - room / 2)), top = y > 30 ? y - 26 : y + 14;
      pen.fillStyle = c.bg; pen.strokeStyle = c.line;
      pen.fillRect(left, top, room, 18); pen.strokeRect(left + 0.5, top + 0.5, room, 18);
      pen.fillStyle = c.ink; pen.textAlign = "left";
      pen.fillText(text, left + 6, top + 9.5);
    };
    return canvasWidget(model, el, { take, paint, staleMs: STALE_MAP_MS });
  },
};
