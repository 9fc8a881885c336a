// One row a market. Where there is a Session each row has a switch: off at once, on after being asked.

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-strategies");
    el.dataset.lmSuppressShortcuts = "true";
    const heads = model.get("heads"), controls = model.get("controls");
    const table = child(child(el, "div", "hft-scroll-x"), "table");
    const top = child(table, "tr", "hft-heads");
    for (const [k, text] of heads.entries()) child(top, "th", k < 3 ? "l" : "", text);
    if (controls) child(top, "th");
    const said = child(el, "div", "hft-said");
    said.setAttribute("role", "status");
    let lines = [];

    const send = (name, market) => {
      if (say(model, { k: "switch", name, market })) return;
      said.textContent = "not sent: this page has no connection to its kernel";
      said.className = "hft-said hft-level-bad";
    };
    const make = (market) => {
      const line = child(table, "tr"), one = { line, active: true, cells: heads.map((_, k) => child(line, "td", k < 3 ? "l" : "")) };
      one.cells.forEach((cell, k) => { cell.dataset.head = heads[k]; });
      if (controls) {
        const cell = child(line, "td");
        one.off = button(cell, "Deactivate", "Withdraw the quotes of this market and wish nothing", () => false, () => send("deactivate", market));
        one.on = button(cell, "Activate", "Quote again; asks once more", () => true, () => send("activate", market));
      }
      return one;
    };
    const onMessage = (m) => {
      if (m.k !== "strategies") return;
      while (lines.length > m.rows.length) lines.pop().line.remove();
      while (lines.length < m.rows.length) lines.push(make(lines.length));
      m.rows.forEach((row, i) => {
        row.cells.forEach(([text, level], k) => {
          const cell = lines[i].cells[k];
          if (cell.textContent !== text) cell.textContent = text;
          cell.className = (k < 3 ? "l" : "hft-n") + (level ? (level === "dim" ? " hft-dim" : " hft-level-" + level) : "");
        });
        if (!controls) return;
        lines[i].off.hidden = !row.active;
        lines[i].on.hidden = row.active;
      });
      said.textContent = m.said;
      said.className = "hft-said hft-level-" + m.level;
    };
    model.on("msg:custom", onMessage);
    const stops = [onTheme(el, () => {}), heartbeat(model, el, () => 0)];
    return () => { model.off("msg:custom", onMessage); stops.forEach((stop) => stop()); };
  },
};
