// Commands and the quoter's sliders. A slider speaks once, when it is let go; what it shows afterwards is what the engine acknowledged.

const ARM_MS = 3000;

function button(parent, text, title, armed, press) {
  const node = document.createElement("button");
  node.type = "button";
  node.textContent = text;
  node.title = title;
  let timer = 0;
  node.addEventListener("click", () => {
    if (armed() && !timer) {
      node.classList.add("hft-armed");
      node.textContent = "sure?";
      timer = setTimeout(() => { timer = 0; node.textContent = text; node.classList.remove("hft-armed"); }, ARM_MS);
      return;
    }
    clearTimeout(timer); timer = 0;
    node.textContent = text; node.classList.remove("hft-armed");
    press();
  });
  return parent.appendChild(node);
}

const STEPS = 1000;
const toSlider = (p, v) => (p.log ? Math.log(v / p.min) / Math.log(p.max / p.min) : (v - p.min) / (p.max - p.min)) * STEPS;
function fromSlider(p, s) {
  const v = p.log ? p.min * Math.pow(p.max / p.min, s / STEPS) : p.min + ((p.max - p.min) * s) / STEPS;
  if (p.log) return Number(v.toPrecision(3));
  return Math.min(p.max, Math.max(p.min, Number((p.min + Math.round((v - p.min) / p.step) * p.step).toPrecision(12))));
}
function show(p, v) {
  const decimals = p.log ? Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v) || 1))) : Math.max(0, Math.ceil(-Math.log10(p.step) - 1e-9));
  return fixed(v, Math.min(8, decimals));
}

class Slider {
  constructor(parent, param, send) {
    this.param = param;
    const box = parent.appendChild(document.createElement("label"));
    box.className = "hft-slider";
    box.title = `${param.label}, ${param.min} to ${param.max} ${param.unit}`;
    const label = box.appendChild(document.createElement("span"));
    label.textContent = param.label;
    this.input = box.appendChild(document.createElement("input"));
    this.value = box.appendChild(document.createElement("span"));
    Object.assign(this.input, { type: "range", min: 0, max: STEPS, step: 1 });
    this.dragging = false;
    this.input.addEventListener("input", () => { this.dragging = true; this.write(fromSlider(this.param, +this.input.value), "hft-n hft-dim"); });
    this.input.addEventListener("change", () => { this.dragging = false; send(param.name, fromSlider(this.param, +this.input.value)); });
    this.hear(param);
  }
  write(v, className) {
    this.value.textContent = show(this.param, v) + (this.param.unit.length < 4 ? " " + this.param.unit : "");
    this.value.className = className;
  }
  hear(param) {
    this.param = param;
    if (this.dragging) return;
    this.input.value = toSlider(param, param.value);
    this.write(param.value, "hft-n");
  }
}

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-controls");
    let state = "", sliders = {}, signature = "";
    const send = (message) => {
      if (say(model, message)) return;
      said.textContent = "not sent: this page has no connection to its kernel";
      said.className = "hft-said hft-level-bad";
    };
    const command = (name) => send({ k: "command", name });
    const row = el.appendChild(document.createElement("div"));
    row.className = "hft-buttons";
    const never = () => false, always = () => true;
    button(row, "Pause", "Cancel quotes and wait; the position stays", never, () => command("pause"));
    button(row, "Resume", "Quote again; after a halt this asks once more", () => state === "HALTED", () => command("resume"));
    button(row, "Flatten", "Work the position to zero", never, () => command("flatten"));
    button(row, "Stop", "End the run: returns when no order rests", always, () => command("stop"));
    const said = el.appendChild(document.createElement("div"));
    said.className = "hft-said";
    said.setAttribute("role", "status");
    const list = el.appendChild(document.createElement("div"));

    const onMessage = (m) => {
      if (m.k !== "controls") return;
      state = m.state;
      said.textContent = m.said;
      said.className = "hft-said hft-level-" + m.level;
      const now = JSON.stringify(m.params.map((p) => [p.name, p.label, p.unit, p.min, p.max, p.step, p.log]));
      if (now !== signature) {
        signature = now;
        list.replaceChildren();
        sliders = {};
        for (const p of m.params) sliders[p.name] = new Slider(list, p, (name, value) => send({ k: "set", name, value }));
      }
      for (const p of m.params) sliders[p.name].hear(p);
    };
    model.on("msg:custom", onMessage);
    const stops = [onTheme(el, () => {}), heartbeat(model, el, () => 0)];
    return () => { model.off("msg:custom", onMessage); stops.forEach((stop) => stop()); };
  },
};
