// Curves over time, in SVG. The legend tells the newest values, or those at the pointer; with the arrow keys a chart
// that has the focus is read point by point.
import { el, svg, setText } from './dom.js';
import { clock } from './format.js';

const HEIGHT = 200;
const MARGIN = { left: 46, right: 10, top: 8, bottom: 22 };

/** From `low` to `high`, in the middle of `ticks` where all is equal. */
const linear = (ticks) => ({ ticks, place: (value) => (value - ticks[0]) / (ticks.at(-1) - ticks[0]) });

/** Powers of ten around the values. */
function logarithmic(values) {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(positive.length ? Math.min(...positive) : 0.1));
  const high = Math.max(low + 1, Math.ceil(Math.log10(positive.length ? Math.max(...positive) : 1)));
  const ticks = [];
  for (let power = low; power <= high; ++power) ticks.push(10 ** power);
  return { ticks, place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
}

export class Chart {
  /** options: { id, title, series: [{ key, label }], format, percent? (0 to 100, filled), empty (text) } */
  constructor(figure, options) {
    this.options = options;
    this.points = [];
    this.at = null;
    this.values = options.series.map(() => el('b', {}, '–'));
    this.time = el('span', { class: 'quiet' });
    this.spoken = el('span', { class: 'visually-hidden', 'aria-live': 'polite' });
    this.plot = svg('svg', { class: 'plot', role: 'img', tabindex: 0, height: HEIGHT,
      pointermove: (event) => this.point(event), pointerdown: (event) => this.point(event),
      pointerleave: () => this.moveTo(null), blur: () => this.moveTo(null), keydown: (event) => this.key(event) });
    const sample = (index) => svg('svg', { viewBox: '0 0 22 12', 'aria-hidden': 'true' },
      svg('line', { x1: 0, x2: 22, y1: 6, y2: 6, class: `curve c${index + 1}` }));
    figure.replaceChildren(
      el('div', { class: 'chart-head' }, el('h3', { id: options.id }, options.title), this.time),
      el('ul', { class: 'legend' }, options.series.map((series, index) =>
        el('li', {}, options.series.length > 1 && sample(index), `${series.label} `, this.values[index]))),
      this.plot, this.spoken);
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  /** points: [{ time: Date, … }], the oldest first. */
  show(points) {
    const wasAtEnd = this.at === null || this.at >= this.points.length;
    this.points = points;
    if (wasAtEnd) this.at = null;
    this.draw();
  }

  x(time) {
    const first = this.points[0].time.getTime();
    const span = Math.max(1, this.points.at(-1).time.getTime() - first);
    return MARGIN.left + (time.getTime() - first) / span * (this.width - MARGIN.left - MARGIN.right);
  }

  draw() {
    this.width = Math.max(160, this.plot.clientWidth);
    const { series, format, title } = this.options;
    this.plot.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
    const all = this.points.flatMap((point) => series.map(({ key }) => point[key]))
      .filter((value) => typeof value === 'number');
    if (this.points.length < 2 || all.length === 0) {
      this.plot.setAttribute('aria-label', `${title}: ${this.options.empty}`);
      this.plot.replaceChildren(svg('text', { x: this.width / 2, y: HEIGHT / 2, 'text-anchor': 'middle' },
        this.options.empty));
      this.read();
      return;
    }
    const scale = this.options.percent ? linear([0, 25, 50, 75, 100]) : logarithmic(all);
    const bottom = HEIGHT - MARGIN.bottom;
    const y = (value) => bottom - Math.min(1, scale.place(value)) * (bottom - MARGIN.top);
    this.y = y;
    const grid = scale.ticks.map((tick) => [
      svg('line', { class: 'grid', x1: MARGIN.left, x2: this.width - MARGIN.right, y1: y(tick), y2: y(tick) }),
      svg('text', { x: MARGIN.left - 6, y: y(tick) + 4, 'text-anchor': 'end' }, format(tick, true))]);
    const ends = [[0, 'start'], [this.points.length - 1, 'end']].map(([index, anchor]) =>
      svg('text', { x: this.x(this.points[index].time), y: HEIGHT - 5, 'text-anchor': anchor },
        clock(this.points[index].time)));
    const curves = series.map(({ key }, index) => this.curve(key, index, y, bottom));
    this.marks = svg('g');
    this.plot.replaceChildren(svg('g', {}, grid, ends), svg('g', {}, curves), this.marks);
    this.plot.setAttribute('aria-label', this.summary());
    this.read();
  }

  // Where there is no value the curve has a gap; a value between two gaps is a dot.
  curve(key, index, y, bottom) {
    const runs = [];
    let run = null;
    for (const point of this.points) {
      if (typeof point[key] !== 'number') { run = null; continue; }
      if (run === null) runs.push(run = []);
      run.push([this.x(point.time), y(point[key])]);
    }
    return runs.map((places) => {
      if (places.length === 1) return svg('circle', { cx: places[0][0], cy: places[0][1], r: 2, class: `f${index + 1}` });
      const path = places.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join('L');
      return [
        this.options.percent && svg('path', { class: `area f${index + 1}`,
          d: `M${path}L${places.at(-1)[0].toFixed(1)},${bottom}L${places[0][0].toFixed(1)},${bottom}Z` }),
        svg('path', { class: `curve c${index + 1}`, d: `M${path}` })];
    });
  }

  summary() {
    const { title, series, format } = this.options;
    const told = series.map(({ key, label }) => {
      const values = this.points.map((point) => point[key]).filter((value) => typeof value === 'number');
      if (values.length === 0) return `${label}: none`;
      return `${label}: now ${format(values.at(-1))}, lowest ${format(Math.min(...values))}, ` +
        `highest ${format(Math.max(...values))}`;
    });
    return `${title}, ${clock(this.points[0].time)} to ${clock(this.points.at(-1).time)}. ${told.join('. ')}. ` +
      'Arrow keys read single points.';
  }

  // Legend and cursor.
  read() {
    const { series, format } = this.options;
    const point = this.points[this.at ?? this.points.length - 1];
    series.forEach(({ key }, index) => setText(this.values[index], format(point?.[key])));
    setText(this.time, this.at !== null && point ? clock(point.time) : '');
    if (!this.marks) return;
    if (this.at === null || !point) { this.marks.replaceChildren(); return; }
    const px = this.x(point.time);
    this.marks.replaceChildren(
      svg('line', { class: 'cursor', x1: px, x2: px, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      ...series.map(({ key }, index) => typeof point[key] === 'number' &&
        svg('circle', { cx: px, cy: this.y(point[key]), r: 4, class: `f${index + 1}` })).filter(Boolean));
  }

  moveTo(index) {
    this.at = index;
    this.read();
  }

  point(event) {
    if (this.points.length < 2) return;
    const px = event.clientX - this.plot.getBoundingClientRect().left;
    const distances = this.points.map((point) => Math.abs(this.x(point.time) - px));
    this.moveTo(distances.indexOf(Math.min(...distances)));
  }

  key(event) {
    const last = this.points.length - 1;
    const from = this.at ?? last;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined || last < 1) return;
    event.preventDefault();
    this.moveTo(to === null ? null : Math.min(last, Math.max(0, to)));
    const { series, format } = this.options;
    const point = this.points[this.at ?? last];
    setText(this.spoken, `${clock(point.time)}: ` +
      series.map(({ key, label }) => `${label} ${format(point[key])}`).join(', '));
  }
}
