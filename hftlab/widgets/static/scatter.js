// Fills as points, and a box drawn over them with the mouse. Buffer (float64): x, y and side of each point, one after the other.
// The kernel knows every fill; this page has at most some thousands of them, says so, and sends only the box.

const LEFT_PX = 52, RIGHT_PX = 10, TOP_PX = 8, FOOT_PX = 30, DOT_PX = 2.6;
const NEAR_PX = 4, ANSWER_MS = 2000;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400];

function niceStep(span, count) {
  const raw = span / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  for (const m of [1, 2, 5, 10]) if (raw <= m * power) return m * power;
  return 10 * power;
}

function marks(axis, px) {
  const [low, high] = axis.range, found = [];
  if (axis.kind === "log") {
    for (let v = 0; Math.log10(1 + v) <= high; v = v === 0 ? 1 : v * 10) if (Math.log10(1 + v) >= low) found.push([Math.log10(1 + v), v.toLocaleString("en")]);
    return found;
  }
  const time = axis.kind === "time";
  const from = time ? axis.since / 1000 : 0, least = (high - low) / Math.max(1, px / 90);
  const step = time ? TIME_STEPS.find((s) => s >= least) || 86400 : niceStep(high - low, Math.max(2, px / 70));
  for (let v = Math.ceil((low + from) / step) * step; v <= high + from; v += step)
    found.push([v - from, time ? clock(v * 1000, 0) : Number(v.toPrecision(12)).toLocaleString("en")]);
  return found;
}

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-canvas", "hft-scatter");
    const canvas = el.appendChild(document.createElement("canvas"));
    canvas.style.height = model.get("height_px") + "px";
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    const back = document.createElement("canvas");
    let data = null, head = null, box = null, drag = null, colour = null, width = 0, wanted = false, stale = true;
    let number = 0, busy = 0, later = 0;

    const height = () => model.get("height_px");
    const X = (v) => LEFT_PX + ((v - head.x.range[0]) / (head.x.range[1] - head.x.range[0])) * (width - LEFT_PX - RIGHT_PX);
    const Y = (v) => height() - FOOT_PX - ((v - head.y.range[0]) / (head.y.range[1] - head.y.range[0])) * (height() - TOP_PX - FOOT_PX);
    const unX = (px) => head.x.range[0] + ((px - LEFT_PX) / (width - LEFT_PX - RIGHT_PX)) * (head.x.range[1] - head.x.range[0]);
    const unY = (px) => head.y.range[0] + ((height() - FOOT_PX - px) / (height() - TOP_PX - FOOT_PX)) * (head.y.range[1] - head.y.range[0]);
    const clampX = (px) => Math.min(Math.max(px, LEFT_PX), width - RIGHT_PX), clampY = (px) => Math.min(Math.max(px, TOP_PX), height() - FOOT_PX);

    const dots = (pen, inside) => {
      const n = data.length / 3, size = n < 1500 ? DOT_PX * 1.6 : DOT_PX;
      let side = 0;
      for (let k = 0; k < n; k++) {
        const x = X(data[k]), y = Math.min(Math.max(Y(data[n + k]), TOP_PX), height() - FOOT_PX);
        if (inside && !(x >= inside[0] && x <= inside[2] && y >= inside[1] && y <= inside[3])) continue;
        if (data[2 * n + k] !== side) { side = data[2 * n + k]; pen.fillStyle = side > 0 ? colour.bid : colour.ask; }
        pen.fillRect(x - size / 2, y - size / 2, size, size);
      }
    };
    const prepare = (pen, ratio) => {
      Object.assign(back, { width: canvas.width, height: canvas.height });
      const on = back.getContext("2d");
      on.setTransform(ratio, 0, 0, ratio, 0, 0);
      dots(on, null);
      stale = false;
    };
    const axes = (pen) => {
      const floor = height() - FOOT_PX;
      pen.font = "10px " + colour.mono;
      pen.lineWidth = 1;
      pen.textBaseline = "middle";
      for (const [v, text] of marks(head.y, floor)) {
        const y = Math.round(Y(v)) + 0.5;
        pen.strokeStyle = v === 0 ? colour.dim : colour.grid;
        pen.beginPath(); pen.moveTo(LEFT_PX, y); pen.lineTo(width - RIGHT_PX, y); pen.stroke();
        pen.fillStyle = colour.dim; pen.textAlign = "right";
        pen.fillText(text, LEFT_PX - 5, y);
      }
      pen.textAlign = "center";
      for (const [v, text] of marks(head.x, width)) pen.fillText(text, Math.min(Math.max(X(v), LEFT_PX + 6), width - 24), floor + 9);
      pen.font = "10.5px system-ui, sans-serif";
      pen.fillText(head.x.label, (LEFT_PX + width - RIGHT_PX) / 2, height() - 6);
      pen.save(); pen.translate(8, floor / 2); pen.rotate(-Math.PI / 2); pen.fillText(head.y.label, 0, 0); pen.restore();
      pen.textAlign = "right"; pen.fillText(head.said, width - RIGHT_PX, TOP_PX + 2);
    };
    const draw = () => {
      wanted = false;
      if (!head || !colour || !width) return;
      const ratio = window.devicePixelRatio || 1, w = Math.round(width * ratio), h = Math.round(height() * ratio);
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; stale = true; }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height());
      axes(pen);
      if (stale) prepare(pen, ratio);
      const pixels = box && [X(box[0]), Y(box[3]), X(box[1]), Y(box[2])];
      pen.globalAlpha = pixels ? 0.25 : 0.75;
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.drawImage(back, 0, 0);
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      if (pixels) {
        pen.globalAlpha = 0.9;
        dots(pen, pixels);
        pen.globalAlpha = 1;
        pen.strokeStyle = colour.ink; pen.setLineDash([4, 3]);
        pen.strokeRect(pixels[0] + 0.5, pixels[1] + 0.5, pixels[2] - pixels[0], pixels[3] - pixels[1]);
        pen.setLineDash([]);
      }
      pen.globalAlpha = 1;
      if (head.mark) {
        const x = X(head.mark[0]), y = clampY(Y(head.mark[1]));
        pen.strokeStyle = colour.own; pen.lineWidth = 2;
        pen.beginPath(); pen.arc(x, y, 7, 0, 7); pen.stroke();
        pen.lineWidth = 1; pen.globalAlpha = 0.5;
        pen.beginPath(); pen.moveTo(x, TOP_PX); pen.lineTo(x, height() - FOOT_PX); pen.stroke();
        pen.globalAlpha = 1;
      }
    };
    const redraw = () => { if (!wanted) { wanted = true; requestAnimationFrame(draw); } };

    // A side of the box that lies on the edge of the picture is open: what is drawn at the edge may lie further out.
    const open = () => box && [box[0] <= head.x.range[0], box[1] >= head.x.range[1], box[2] <= head.y.range[0], box[3] >= head.y.range[1]].map((at, k) => (at ? null : box[k]));
    const tell = () => {
      // One question at a time: while the kernel counts, only the last box is kept. One that never answers is asked again.
      clearTimeout(later);
      later = 0;
      const waits = ANSWER_MS - (performance.now() - busy);
      if (busy && waits > 0) { later = setTimeout(tell, waits); return; }
      if (say(model, { k: "box", box: open() })) busy = performance.now();
    };
    const place = (e) => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    canvas.addEventListener("pointerdown", (e) => {
      if (!head || e.button !== 0) return;
      drag = place(e);
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener("pointermove", (e) => {
      if (!drag) return;
      const [x, y] = place(e);
      if (!box && Math.hypot(x - drag[0], y - drag[1]) < NEAR_PX) return;
      const [x0, x1] = [clampX(Math.min(x, drag[0])), clampX(Math.max(x, drag[0]))], [y0, y1] = [clampY(Math.min(y, drag[1])), clampY(Math.max(y, drag[1]))];
      // With Shift the markout itself chooses nothing: only then does its mean say what such fills make.
      box = e.shiftKey ? [unX(x0), unX(x1), ...head.y.range] : [unX(x0), unX(x1), unY(y1), unY(y0)];
      redraw();
      tell();
    });
    canvas.addEventListener("pointerup", (e) => {
      if (!drag) return;
      const [x, y] = place(e), click = Math.hypot(x - drag[0], y - drag[1]) < NEAR_PX;
      drag = null;
      if (click && say(model, { k: "near", at: [unX(x), unY(y)], reach: [unX(x + 8) - unX(x), unY(y - 8) - unY(y)] })) return;
      tell();
    });
    canvas.addEventListener("keydown", (e) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
      if (step) say(model, { k: "step", by: step });
      else if (e.key === "Escape") { box = null; redraw(); tell(); }
      else return;
      e.preventDefault();
      e.stopPropagation();
    });

    const onMessage = (m, buffers) => {
      if (m.k === "points") {
        number = m.n;
        head = m.head; data = floats(buffers[0]); box = m.box; stale = true;
        canvas.setAttribute("aria-label", `${head.y.label} by ${head.x.label}: ${head.said}. Drag to choose fills.`);
      } else if (m.k === "mark" && head) head.mark = m.mark;
      else if (m.k === "clear") box = null;
      else if (m.k === "counted") { busy = 0; if (later) tell(); return; }
      redraw();
    };
    model.on("msg:custom", onMessage);
    const size = new ResizeObserver(() => { width = canvas.clientWidth; redraw(); });
    size.observe(canvas);
    const stopTheme = onTheme(el, (c) => { colour = c; stale = true; redraw(); });
    const stopBeat = heartbeat(model, el, () => number);
    return () => { clearTimeout(later); model.off("msg:custom", onMessage); size.disconnect(); stopTheme(); stopBeat(); };
  },
};
