// The row of sections. Switching is the page's own affair: it works while the kernel computes, and each page has its own choice. The
// kernel is told which section somebody looks at, and feeds that one only.

class Sections {
  constructor(el, list) {
    this.el = el; this.list = list;
    this.chosen = list.length ? list[0][0] : "";
    this.row = document.createElement("div");
    this.row.className = "hft-tabs";
    this.row.setAttribute("role", "tablist");
    this.tabs = {};
    for (const [key, title] of list) {
      const tab = child(this.row, "div", "hft-tab", title);
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => this.choose(key));
      this.tabs[key] = tab;
    }
    this.row.addEventListener("keydown", (event) => this.key(event));
    if (list.length > 1) el.appendChild(this.row);
    this.show();
  }

  key(event) {
    const keys = this.list.map(([key]) => key), at = keys.indexOf(this.chosen), last = keys.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(keys[to]);
    this.tabs[keys[to]].focus();
  }

  choose(key) {
    if (key === this.chosen) return;
    this.chosen = key;
    this.show();
    // The next beat tells the kernel, panels that come into sight say hello, and curves take their width.
    document.dispatchEvent(new Event("hft-section"));
    window.dispatchEvent(new Event("resize"));
  }

  // The desk may not be in the page yet when this is made: whoever calls again later sets what was missed.
  show() {
    const desk = this.el.closest(".hft-desk");
    if (desk && this.chosen) desk.dataset.section = this.chosen;
    for (const [key, title] of this.list) {
      this.tabs[key].setAttribute("aria-selected", String(key === this.chosen));
      this.tabs[key].tabIndex = key === this.chosen ? 0 : -1;
      const section = desk && desk.querySelector(".hft-section-" + key);
      if (section) { section.setAttribute("role", "tabpanel"); section.setAttribute("aria-label", title); }
    }
  }
}
