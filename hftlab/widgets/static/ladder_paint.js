// How a ladder is painted: price, quantity bar with our place in it, our size and what is ahead of us.
// Data: LADDER_HEAD numbers, then `depth` bids and `depth` asks of LADDER_ROW numbers, best first (see ladder.py).

const LADDER_HEAD = 10, LADDER_ROW = 5, MIDDLE_PX = 40;
const NUMBER = "11.5px ";

// Columns follow from how long the numbers of this instrument are; what is ahead of us in numbers gives way first.
function columns(width, head) {
  const char = 7, price = (6 + head[4]) * char, size = (3 + head[5]) * char, share = 4.4 * char;
  const ours = size + char, ahead = size;
  const room = width - price - 8 - ours - share - 8;
  const wide = room - ahead > size + 20;
  const bar = Math.min(room - (wide ? ahead : 0), 150);
  return { price, bar: price + 8, barEnd: price + 8 + bar, ahead: wide ? width - share - 4 : 0, share: width - 2 };
}

function ladderRow(pen, y, h, at, row, scale, ask, head, c) {
  const [price, qty, ours, ahead, status] = row;
  const full = at.barEnd - at.bar, bar = Math.max(qty > 0 ? 1 : 0, (qty / scale) * full);
  pen.fillStyle = ask ? c.askbg : c.bidbg;
  pen.fillRect(at.bar, y + 1, bar, h - 2);
  const base = y + h / 2 + 0.5;
  if (ours > 0) {
    // Our piece of the queue, where it stands in the queue: left is the front. Pale until the exchange has it.
    const x = at.bar + Math.min(full - 3, (ahead / scale) * full), w = Math.max(3, Math.min((ours / scale) * full, at.barEnd - x));
    pen.globalAlpha = status === 2 ? 1 : 0.5;
    pen.fillStyle = status === 5 ? c.warn : c.own;
    pen.fillRect(x, y + 1, w, h - 2);
    pen.font = "600 " + NUMBER + c.mono;
    pen.textAlign = "left";
    pen.fillText("\u25c2" + fixed(ours, head[5]), at.barEnd + 5, base);
    pen.font = NUMBER + c.mono;
    pen.textAlign = "right";
    pen.fillText(ahead + ours > 0 ? Math.round((100 * ahead) / Math.max(qty, ahead + ours)) + "%" : "", at.share, base);
    if (at.ahead) pen.fillText(fixed(ahead, head[5]), at.ahead, base);
    pen.globalAlpha = 1;
  }
  pen.font = NUMBER + c.mono;
  pen.textAlign = "right";
  pen.fillStyle = ours > 0 ? c.own : ask ? c.ask : c.bid;
  pen.fillText(fixed(price, head[4]), at.price, base);
  if (qty > 0) {
    pen.fillStyle = c.ink;
    pen.fillText(fixed(qty, head[5]), at.barEnd - 4, base);
  }
}

function ladderMiddle(pen, y, width, head, c) {
  pen.strokeStyle = c.line;
  pen.beginPath();
  for (const line of [y + 0.5, y + MIDDLE_PX - 0.5]) { pen.moveTo(0, line); pen.lineTo(width, line); }
  pen.stroke();
  const decimals = head[4] + 1;
  const cells = [[head[3] ? "micro" : "mid", fixed(head[0], decimals), c.ink],
                 ["reserve", fixed(head[1], decimals), c.own],
                 ["spread", fixed(head[2], 0) + (head[2] === 1 ? " tick" : " ticks"), c.ink]];
  cells.forEach(([label, value, colour], k) => {
    const x = width * (k + 0.5) / 3;
    pen.textAlign = "center";
    pen.fillStyle = c.dim;
    pen.font = "10.5px system-ui, sans-serif";
    pen.fillText(label, x, y + 12);
    pen.fillStyle = colour;
    pen.font = "600 12px " + c.mono;
    pen.fillText(value, x, y + 27);
  });
}

// `kept` remembers the scale from one picture to the next.
function paintLadder(pen, width, height, data, kept, c) {
  const head = data.subarray(0, LADDER_HEAD), depth = head[6], h = (height - MIDDLE_PX) / (2 * depth);
  let largest = 0;
  for (let k = 0; k < 2 * depth; k++) { const q = data[LADDER_HEAD + k * LADDER_ROW + 1]; if (q > largest) largest = q; }
  // The scale follows the largest level slowly, so that bars do not all jump when one level comes or goes.
  const scale = (kept.scale = kept.scale && largest < kept.scale && largest > kept.scale * 0.4 ? kept.scale * 0.98 + largest * 0.02 : largest || 1);
  pen.textBaseline = "middle";
  const at = columns(width, head);
  for (let k = 0; k < depth; k++) {
    const bid = data.subarray(LADDER_HEAD + k * LADDER_ROW, LADDER_HEAD + (k + 1) * LADDER_ROW);
    const ask = data.subarray(LADDER_HEAD + (depth + k) * LADDER_ROW, LADDER_HEAD + (depth + k + 1) * LADDER_ROW);
    if (Number.isFinite(ask[0])) ladderRow(pen, (depth - 1 - k) * h, h, at, ask, scale, true, head, c);
    if (Number.isFinite(bid[0])) ladderRow(pen, depth * h + MIDDLE_PX + k * h, h, at, bid, scale, false, head, c);
  }
  ladderMiddle(pen, depth * h, width, head, c);
  pen.font = "10.5px system-ui, sans-serif";
  pen.fillStyle = c.own;
  pen.textAlign = "right";
  if (head[8] > 0) pen.fillText("+" + head[8] + " further out", width - 2, height - 6);
  if (head[7] > 0) pen.fillText("+" + head[7] + " further out", width - 2, 6);
  if (head[9] !== 0) {
    pen.fillStyle = c.bad;
    pen.textAlign = "left";
    pen.fillText(head[9] === 1 ? "book not valid: resync" : "book crossed", 0, 8);
  }
}
