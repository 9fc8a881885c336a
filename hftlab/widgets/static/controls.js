// Commands and the quoter's sliders. What is moved is staged: it waits here, marked, until Apply sends all of it as one command or
// Revert takes it back. Everything that is not marked is what the engine acknowledged.

const ANSWER_S = 2;

// One press of an arrow key is one step of the parameter, or about a fortieth of a decade.
const steps = (p) => (p.log ? Math.max(10, Math.round(40 * Math.log10(p.max / p.min))) : Math.min(1000, Math.max(1, Math.round((p.max - p.min) / p.step))));
const toSlider = (p, v) => (p.log ? Math.log(v / p.min) / Math.log(p.max / p.min) : (v - p.min) / (p.max - p.min)) * steps(p);
function fromSlider(p, s) {
  const v = p.log ? p.min * Math.pow(p.max / p.min, s / steps(p)) : p.min + ((p.max - p.min) * s) / steps(p);
  if (p.log) return Number(v.toPrecision(3));
  return Math.min(p.max, Math.max(p.min, Number((p.min + Math.round((v - p.min) / p.step) * p.step).toPrecision(12))));
}
function show(p, v) {
  const decimals = p.log ? Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v) || 1))) : Math.max(0, Math.ceil(-Math.log10(p.step) - 1e-9));
  return fixed(v, Math.min(8, decimals));
}

class Slider {
  constructor(parent, param, changed) {
    this.param = param;
    this.staged = null;
    this.box = child(parent, "label", "hft-slider");
    this.box.title = `${param.label}, ${param.min} to ${param.max} ${param.unit}`;
    child(this.box, "span", "", param.label);
    this.input = child(this.box, "input");
    this.value = child(this.box, "span", "hft-n");
    Object.assign(this.input, { type: "range", min: 0, max: steps(param), step: 1 });
    this.dragging = false;
    this.input.addEventListener("input", () => {
      this.dragging = true;
      const v = fromSlider(this.param, +this.input.value);
      // Back on the engine's own place of the slider is no wish.
      this.staged = +this.input.value === Math.round(toSlider(this.param, this.param.value)) ? null : v;
      this.write();
      changed();
    });
    this.input.addEventListener("change", () => { this.dragging = false; this.write(); });
    this.hear(param);
  }
  write() {
    const unit = this.param.unit.length < 4 && this.param.unit ? " " + this.param.unit : "", was = show(this.param, this.param.value);
    const pending = this.staged !== null;
    this.value.textContent = (pending ? `${was} \u2192 ${show(this.param, this.staged)}` : was) + unit;
    this.box.classList.toggle("hft-pending", pending);
    this.input.setAttribute("aria-valuetext", show(this.param, pending ? this.staged : this.param.value) + unit + (pending ? ", not applied" : ""));
    if (!this.dragging) this.input.value = toSlider(this.param, pending ? this.staged : this.param.value);
  }
  hear(param) {
    this.param = param;
    this.input.max = steps(param);
    this.write();
  }
  drop() { this.staged = null; this.dragging = false; this.write(); }
}

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-controls");
    // Arrow keys move the slider, not the notebook.
    el.dataset.lmSuppressShortcuts = "true";
    el.addEventListener("keydown", (event) => event.stopPropagation());
    let sliders = {}, signature = "";
    const send = (message) => {
      if (say(model, message)) return true;
      said.textContent = "not sent: this page has no connection to its kernel";
      said.className = "hft-said hft-level-bad";
      return false;
    };
    const command = (name) => send({ k: "command", name });
    const row = el.appendChild(document.createElement("div"));
    row.className = "hft-buttons";
    const never = () => false, always = () => true;
    button(row, "Pause", "Cancel quotes and wait; the position stays", never, () => command("pause"));
    button(row, "Resume", "Quote again; asks once more", always, () => command("resume"));
    button(row, "Flatten", "Work the position to zero", never, () => command("flatten"));
    button(row, "Stop", "End the run: returns when no order rests", always, () => command("stop"));
    const said = el.appendChild(document.createElement("div"));
    said.className = "hft-said";
    said.setAttribute("role", "status");
    const list = child(el, "div");
    const ends = child(el, "div", "hft-buttons hft-ends");
    const apply = button(ends, "Apply", "Send what is marked as one command (Enter on a slider)", never, () => sendStaged());
    const revert = button(ends, "Revert", "Back to what the engine has (Escape on a slider)", never, () => { drop(); looks(); });
    let sent = null;

    const staged = () => Object.values(sliders).filter((one) => one.staged !== null);
    const drop = () => { sent = null; for (const one of Object.values(sliders)) one.drop(); };
    const looks = () => {
      const count = staged().length, waited = sent ? (performance.now() - sent.at) / 1000 : 0;
      apply.disabled = !count || Boolean(sent);
      revert.disabled = !count;
      apply.textContent = sent ? (waited > ANSWER_S ? `no answer for ${waited.toFixed(0)} s` : "applying\u2026") : count ? `Apply ${count}` : "Apply";
      ends.hidden = !Object.keys(sliders).length;
    };
    const sendStaged = () => {
      if (sent || !staged().length) return;
      const values = {};
      for (const one of staged()) values[one.param.name] = one.staged;
      const id = `${Math.round(performance.timeOrigin)}.${Math.round(performance.now() * 1000)}`;
      if (send({ k: "apply", id, values })) sent = { id, values, at: performance.now() };
      looks();
    };
    const answered = (answer) => {
      if (!sent || answer.id !== sent.id) return;
      // What was refused stays marked: change it or take it back. What was moved again meanwhile is a new wish.
      if (answer.ok) for (const one of staged()) if (one.staged === sent.values[one.param.name]) one.drop();
      sent = null;
    };
    list.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sendStaged();
      if (event.key === "Escape") { drop(); looks(); }
    });

    const onMessage = (m) => {
      if (m.k !== "controls") return;
      said.textContent = m.said;
      said.className = "hft-said hft-level-" + m.level;
      const now = JSON.stringify(m.params.map((p) => [p.name, p.label, p.unit, p.min, p.max, p.step, p.log]));
      if (now !== signature) {
        signature = now;
        const wishes = Object.fromEntries(staged().map((one) => [one.param.name, one.staged]));
        list.replaceChildren();
        sliders = {};
        for (const p of m.params) {
          sliders[p.name] = new Slider(list, p, looks);
          sliders[p.name].staged = wishes[p.name] ?? null;
        }
      }
      for (const p of m.params) sliders[p.name].hear(p);
      answered(m.answer);
      looks();
    };
    model.on("msg:custom", onMessage);
    const timer = setInterval(() => { if (sent) looks(); }, 500);
    const stops = [onTheme(el, () => {}), heartbeat(model, el, () => 0)];
    looks();
    return () => { model.off("msg:custom", onMessage); clearInterval(timer); stops.forEach((stop) => stop()); };
  },
};
