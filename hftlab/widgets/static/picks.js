// A picture or table made of HTML text, whose parts with a number in data-point can be clicked.

export default {
  render({ model, el }) {
    el.classList.add("hft", "hft-picks");
    const draw = () => { el.innerHTML = model.get("html"); };
    const pick = (event) => {
      const part = event.target.closest("[data-point]");
      if (part) say(model, { k: "pick", point: Number(part.dataset.point) });
    };
    el.addEventListener("click", pick);
    model.on("change:html", draw);
    const themed = onTheme(el, () => {});
    draw();
    return () => { el.removeEventListener("click", pick); model.off("change:html", draw); themed(); };
  },
};
