// Every text in the outputs against what lies behind it: the ratio of luminances (WCAG 2) must be at least `least`.
([root, least]) => {
  const parse = (text) => { const n = (text.match(/[\d.]+/g) || []).map(Number); return n.length < 3 ? null : [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const lum = (c) => c.slice(0, 3).map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const over = (top, bottom) => [0, 1, 2].map((k) => top[k] * top[3] + bottom[k] * (1 - top[3]));
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c && c[3] > 0) { layers.push(c); if (c[3] >= 1) break; }
    }
    return layers.reverse().reduce((below, one) => over(one, below), [255, 255, 255]);
  };
  const under = (text, ground) => {
    const box = text.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
    for (const shape of text.ownerSVGElement.querySelectorAll('rect,path,circle')) {
      if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
      const look = getComputedStyle(shape), fill = parse(look.fill), b = shape.getBoundingClientRect();
      if (!fill || shape.tagName === 'path' || x < b.x || x > b.right || y < b.y || y > b.bottom) continue;
      ground = over([fill[0], fill[1], fill[2], fill[3] * (parseFloat(look.fillOpacity) || 0) * (parseFloat(look.opacity) || 0)], ground);
    }
    return ground;
  };
  const found = new Set();
  for (const output of document.querySelectorAll(root)) {
    for (const node of output.querySelectorAll('*')) {
      const own = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join(' ').trim();
      if (!own || /^(STYLE|SCRIPT|TITLE|OPTION)$/i.test(node.tagName) || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
      const drawn = node.ownerSVGElement, look = getComputedStyle(node), ink = parse(drawn ? look.fill : look.color);
      if (!ink) continue;
      const ground = drawn ? under(node, behind(node.ownerSVGElement.parentElement)) : behind(node);
      const a = lum(over(ink, ground)), b = lum(ground), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < least) found.add(`"${own.slice(0, 40)}" stands out ${ratio.toFixed(2)} times only`);
    }
  }
  return [...found];
}
