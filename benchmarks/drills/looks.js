// Looks at every output below `root`. A picture that nobody can see (another section) is not judged. The gist of each test:
// a canvas has pixels of two values, a drawing has a mark that is neither text nor straight line, a plot of bqplot has a mark of some size.
(root) => {
  const faults = [], shown = (node) => node.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: false });
  const where = (node) => {
    const cell = node.closest('.jp-Cell'), all = [...document.querySelectorAll('.jp-Cell')];
    return cell ? `cell ${all.indexOf(cell)}: ` : '';
  };
  const fault = (node, text) => faults.push(where(node) + text);
  const outputs = [...document.querySelectorAll(root)];
  const all = (selector) => outputs.flatMap((one) => [...one.querySelectorAll(selector)]);
  const clear = (text) => !text || text === 'none' || text === 'transparent' || /, 0\)$/.test(text);

  const inked = (source, w, h) => {
    const copy = document.createElement('canvas');
    copy.width = Math.min(w, 400); copy.height = Math.min(h, 300);
    const pen = copy.getContext('2d');
    pen.imageSmoothingEnabled = true;
    pen.drawImage(source, 0, 0, copy.width, copy.height);
    const data = new Uint32Array(pen.getImageData(0, 0, copy.width, copy.height).data.buffer);
    return data.some((pixel) => pixel !== data[0]);
  };
  const drawn = (node) => {
    const look = getComputedStyle(node), box = node.getBBox(), line = parseFloat(look.strokeWidth) || 0;
    const filled = !clear(look.fill) && box.width > 0 && box.height > 0;
    // A line of no length with round ends is a dot.
    const lined = !clear(look.stroke) && line > 0 && (box.width > 0 || box.height > 0 || look.strokeLinecap === 'round');
    return (filled || lined) && parseFloat(look.opacity) > 0;
  };
  const MARKS = 'path,polyline,polygon,rect,circle,ellipse,image,use';
  for (const fold of all('details')) fold.open = true;
  let figures = 0;
  for (const node of all('canvas,svg,img')) {
    // Icons of buttons and what lies inside another picture belong to that one.
    if (!shown(node) || node.closest('button') || node.parentElement.closest('svg')) continue;
    const bq = node.closest('.bqplot'), box = node.getBoundingClientRect(), kind = node.tagName.toLowerCase();
    if (bq && kind === 'canvas') continue;
    figures += 1;
    if (box.width < 1 || box.height < 1) { fault(node, `${kind} of no size`); continue; }
    if (kind === 'canvas' && !(node.width && node.height && inked(node, node.width, node.height))) fault(node, 'blank canvas');
    if (kind === 'img' && !(node.complete && node.naturalWidth && inked(node, node.naturalWidth, node.naturalHeight))) fault(node, 'blank img');
    if (kind === 'svg' && !bq && ![...node.querySelectorAll(MARKS)].some((mark) => !mark.closest('defs') && drawn(mark))) fault(node, 'svg without a mark');
  }
  for (const plot of all('.bqplot')) {
    if (!shown(plot) || plot.parentElement.closest('.bqplot')) continue;
    const marks = [...plot.querySelectorAll('.plotarea_events ~ g *, .mark *, path.line, .bar, .dot')];
    if (!marks.some((mark) => mark.getBBox && shown(mark) && mark.getBBox().width + mark.getBBox().height > 0)) fault(plot, 'bqplot figure without a mark');
  }
  const notebook = window.jupyterapp?.shell.currentWidget?.content;
  for (const cell of notebook?.widgets || []) {
    const area = cell.outputArea;
    for (let k = 0; k < (area?.model.length || 0); k++) {
      const output = area.model.get(k), node = area.widgets[k]?.node;
      if (output.type === 'error' && !(cell.model.getMetadata('tags') || []).includes('raises-exception'))
        fault(area.node, `${output.toJSON().ename}: ${String(output.toJSON().evalue).slice(0, 200)}`);
      // A widget of our own that stands alone carries no class of ipywidgets: it is known by having something on the page.
      const body = node?.querySelector('.jp-OutputArea-output'), there = body && [...body.querySelectorAll('*')].some((one) => one.getClientRects().length);
      if ('application/vnd.jupyter.widget-view+json' in output.data && !there)
        fault(area.node, `widget not shown: ${(node?.textContent || '').slice(0, 80)}`);
    }
  }
  for (const node of all('.jupyter-widgets-error-widget')) fault(node, `widget failed: ${node.textContent.slice(0, 200)}`);
  for (const output of outputs) {
    const text = output.innerText || '';
    for (const sign of ['Error displaying widget', 'model not found', 'Loading widget...', 'Error creating widget'])
      if (text.includes(sign)) fault(output, `"${sign}"`);
  }
  return { figures, widgets: all('.jupyter-widgets').length, faults: [...new Set(faults)] };
}
