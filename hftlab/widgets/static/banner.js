// What is shown is as old as its last frame, by this page's own clock: a kernel, a server or a line that died cannot say so.
// Two clocks are asked: the one that never jumps stands still while a phone sleeps.

const TICK_MS = 250;
const SILENT_MS = 15000;  // a page that heard nothing at all says so after this long

function age(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 120) return `${s} s`;
  return s < 7200 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
}

export default {
  render({ model, el }) {
    el.classList.add("hft-band");
    el.setAttribute("role", "alert");
    el.hidden = true;
    const strong = el.appendChild(document.createElement("b"));
    const rest = el.appendChild(document.createElement("span"));
    const title = document.title;
    let ticks = performance.now(), wall = Date.now(), heard = false, state = "", problem = "", offset = Infinity;
    const old = () => Math.max(performance.now() - ticks, Date.now() - wall);

    const look = () => {
      const ms = old();
      const stale = heard ? ms > model.get("old_ms") : ms > SILENT_MS;
      el.hidden = !stale;
      document.body.classList.toggle("hft-page-old", stale);
      document.title = stale ? "\u26a0 old \u00b7 " + title : title;
      if (!stale) return;
      const since = new Date(Date.now() - ms).toISOString().slice(11, 19);
      strong.textContent = heard ? `OLD DATA: ${age(ms)} old, since ${since} UTC. ` : "NO DATA yet. ";
      rest.textContent = problem ? problem
        : state === "STOPPED" ? `${model.get("name")} was stopped; this is its last state.`
        : "The engine, the server or the line to this page does not answer. Do not act on what is below; load the page again.";
    };
    const onMessage = (m) => {
      if (m.k === "trouble") { problem = m.text; return look(); }
      if (m.k !== "age") return;
      // The two clocks may differ by anything, but not by more with every message: what is more was spent in a queue.
      offset = Math.min(offset, Date.now() - m.at - m.age);
      const ms = Math.max(0, m.age, Date.now() - m.at - offset);
      ticks = performance.now() - ms;
      wall = Date.now() - ms;
      heard = true; state = m.state; problem = "";
      look();
    };
    model.on("msg:custom", onMessage);
    const timer = setInterval(look, TICK_MS);
    // While nobody can see the page nothing is sent to it: what it shows on return is old until the next frame, and says so.
    const stop = heartbeat(model, document.body, () => 0);
    return () => {
      model.off("msg:custom", onMessage); clearInterval(timer); stop();
      document.title = title; document.body.classList.remove("hft-page-old");
    };
  },
};
