// The health line never leaves the screen. While a part of the desk is in sight it follows the scrolling inside the desk; when none is,
// HALT and the state move to a small bar above the page, which is no part of the output: a notebook does not paint (or takes
// out of the page) the cells that are far away.

const FLOAT_MS = 400;

function scrollers(el) {
  const found = [];
  for (let node = el.parentElement; node; node = node.parentElement) {
    const how = getComputedStyle(node).overflowY;
    if ((how === "auto" || how === "scroll") && node.scrollHeight > node.clientHeight + 1) found.push(node);
  }
  return found;
}

// `moved` are the nodes that go along, in the order in which they stand in the bar; `over` says when there is nothing left to halt.
function stick(el, moved, label, over) {
  const bar = document.createElement("div");
  bar.className = "hft hft-float";
  bar.setAttribute("role", "region");
  bar.setAttribute("aria-label", "halt");
  const name = child(bar, "span", "hft-run");
  const homes = moved.map((node) => node.parentElement);
  let host = null;
  const floats = () => bar.isConnected;

  const follow = () => {
    const desk = el.closest(".hft-desk");
    if (!desk || !el.isConnected) return float(shows(host));
    const list = scrollers(desk), outer = list[list.length - 1], box = desk.getBoundingClientRect();
    const inPage = !outer || outer === document.scrollingElement || outer === document.body;
    // A cell that is far away may be in the page unseen. So is a notebook in a hidden tab, but that has no scroller in
    // sight either: what stands in front of it is not ours to cover.
    if (unseen(desk)) return float(!inPage && shows((host = outer.parentElement)));
    host = inPage ? document.body : outer.parentElement;
    let top = 0, bottom = window.innerHeight;
    for (const node of list) {
      const seen = node.getBoundingClientRect();
      top = Math.max(top, seen.top);
      bottom = Math.min(bottom, seen.bottom);
    }
    const shift = Math.max(0, Math.min(top - box.top, box.height - el.offsetHeight));
    el.style.transform = shift ? `translateY(${Math.round(shift)}px)` : "";
    float(box.bottom < top + el.offsetHeight / 2 || box.top > bottom - 20);
  };
  const unseen = (node) => (node.checkVisibility ? !node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) : !node.getClientRects().length);
  const shows = (node) => Boolean(node && node.isConnected && node.getClientRects().length);

  const float = (wanted) => {
    wanted = wanted && !over();
    if (!moved.length || wanted === floats()) return;
    const focused = moved.find((node) => node === document.activeElement);
    if (wanted) {
      name.textContent = label();
      bar.classList.toggle("hft-dark", el.classList.contains("hft-dark"));
      bar.classList.toggle("hft-in-page", host === document.body);
      moved.forEach((node) => bar.appendChild(node));
      host.appendChild(bar);
    } else {
      moved.forEach((node, k) => homes[k].appendChild(node));
      bar.remove();
    }
    if (focused) focused.focus({ preventScroll: true });
  };

  document.addEventListener("scroll", follow, { capture: true, passive: true });
  window.addEventListener("resize", follow);
  const timer = setInterval(follow, FLOAT_MS);
  follow();
  return {
    floats,
    stop: () => {
      document.removeEventListener("scroll", follow, { capture: true });
      window.removeEventListener("resize", follow);
      clearInterval(timer);
      bar.remove();
    },
  };
}
