// The order book around the mid, live: each buffer is one picture (see ladder_paint.js).

export default {
  render({ model, el }) {
    const kept = { scale: 0 };
    let data = null;
    const take = (next) => { data = next; };
    const paint = (pen, width, height, c) => { if (data) paintLadder(pen, width, height, data, kept, c); };
    return canvasWidget(model, el, { take, paint });
  },
};
