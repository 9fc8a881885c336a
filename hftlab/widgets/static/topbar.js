// The health line. It is the one place that says, by its own clock, that what the desk shows has become old.

const FIELDS = [["feed", "feed"], ["loop", "loop"], ["clock", "clock"], ["book", "book"], ["rate", ""], ["up", "up"], ["quoting", "quoting"], ["age", "age"]];

const ANSWER_S = 2;

function duration(ms) {
  const s = Math.floor(ms / 1000);
  return s < 120 ? `${s} s` : `${Math.floor(s / 60)} min`;
}

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-top");
    el.dataset.lmSuppressShortcuts = "true";
    const bar = child(el, "div", "hft-bar");
    const name = child(bar, "span", "hft-run"), market = child(bar, "span", "hft-dim"), mode = child(bar, "span", "hft-badge");
    const home = child(bar, "span", "hft-state-home"), state = child(home, "span", "hft-state");
    const values = {};
    for (const [key, label] of FIELDS) {
      const cell = child(bar, "span", "hft-field hft-field-" + key);
      if (label) child(cell, "span", "hft-dim", label + " ");
      values[key] = child(cell, "span", "hft-n", "\u2013");
    }
    const ageHome = child(bar, "span", "hft-age-home"), age = child(ageHome, "span", "hft-age hft-n");
    const noticeHome = child(bar, "span", "hft-notice-home"), notice = child(noticeHome, "span", "hft-notice");
    const fresh = new Freshness();
    let number = 0, problem = "", pressed = 0, unsent = false, over = false;
    const halt = model.get("controls") ? child(child(bar, "span", "hft-halt-home"), "button", "hft-halt") : null;
    if (halt) {
      el.classList.add("hft-with-halt");
      Object.assign(halt, { type: "button", title: "Stop quoting now and cancel every order" });
      halt.addEventListener("click", () => {
        pressed = performance.now();
        unsent = !say(model, { k: "halt" });
        ageing();
      });
    }
    // Nobody shall believe in a halt that nobody heard: until the desk says HALTED, what is missing stands here.
    const haltNotice = () => {
      const waited = (performance.now() - pressed) / 1000;
      if (unsent) return "HALT was NOT SENT: this page has no connection to its kernel. Halt from another page or from a shell.\n";
      return pressed && waited > ANSWER_S ? `HALT was sent ${waited.toFixed(0)} s ago and NOT ANSWERED yet.\n` : "";
    };

    const ageing = () => {
      const stale = fresh.stale || Boolean(problem);
      age.textContent = stale ? `stale since ${fresh.since} (${duration(fresh.ms)})` : "";
      values.age.textContent = (fresh.ms / 1000).toFixed(1) + " s";
      notice.textContent = haltNotice() + problem;
      if (halt) halt.textContent = pressed ? "HALT\u2026" : "HALT";
      bar.classList.toggle("hft-stale-bar", stale);
      const desk = el.closest(".hft-desk");
      if (desk) desk.classList.toggle("hft-stale-desk", stale);
    };
    const onMessage = (m) => {
      if (m.k !== "top") return;
      number = m.n;
      over = m.over;
      if (/^(HALTED|STOPPED)/.test(m.state) || m.halt_failed) { pressed = 0; unsent = false; }
      problem = m.problem;
      if (m.age !== null) fresh.hear(m.age);
      name.textContent = m.run; market.textContent = m.market;
      mode.textContent = m.mode; mode.className = "hft-badge hft-mode-" + m.mode_class;
      state.textContent = m.state ? "\u25cf " + m.state : ""; state.className = "hft-state hft-level-" + m.state_level;
      for (const [key] of FIELDS) {
        if (key === "age") continue;
        const [text, level] = m.fields[key] || ["\u2013", ""];
        values[key].textContent = text;
        values[key].className = "hft-n" + (level ? " hft-level-" + level : "");
      }
      ageing();
    };
    model.on("msg:custom", onMessage);
    const timer = setInterval(ageing, 200);
    const page = Math.random().toString(36).slice(2);
    const sections = new Sections(el, model.get("sections"));
    const floating = stick(el, halt ? [state, age, notice, halt] : [], () => name.textContent, () => over);
    const seen = () => visible(el) || (floating.floats() && !document.hidden);
    // From afar only HALT and the state are looked at: no section is fed.
    const more = () => { sections.show(); return { page, section: floating.floats() ? "" : sections.chosen }; };
    const stops = [onTheme(el, () => {}), heartbeat(model, el, () => number, { seen, more }), floating.stop];
    setTimeout(() => sections.show(), 0);
    return () => { model.off("msg:custom", onMessage); clearInterval(timer); stops.forEach((stop) => stop()); };
  },
};
