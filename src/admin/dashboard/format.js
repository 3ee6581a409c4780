// Numbers as people read them.

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
export function count(value) {
  if (!isNumber(value)) return '–';
  return Math.abs(value) < 100000 ? value.toLocaleString('en') : compact.format(value);
}
export const percent = (value) => (isNumber(value) ? `${value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} %` : '–');

export function bytes(value) {
  if (!isNumber(value)) return '–';
  let rest = value;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (rest < 1024) return `${unit === 'B' ? rest : rest.toFixed(rest < 10 ? 1 : 0)} ${unit}`;
    rest /= 1024;
  }
  return `${rest.toFixed(1)} TiB`;
}

/** Of milliseconds. */
export function latency(value) {
  if (!isNumber(value)) return '–';
  if (value < 1) return `${Math.round(value * 1000)} µs`;
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}

/** Of whole seconds; the two largest units. */
export function duration(seconds) {
  if (!isNumber(seconds)) return '–';
  const sign = seconds < 0 ? '-' : '';
  let rest = Math.abs(Math.round(seconds));
  const parts = [];
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]]) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0 || (size === 1 && parts.length === 0)) parts.push(`${whole} ${unit}`);
  }
  return sign + parts.slice(0, 2).join(' ');
}

/** A time as the API tells it, or null. */
export const when = (time) => (time ? new Date(time).toLocaleString('en-GB', { dateStyle: 'short', timeStyle: 'medium' }) : null);
export const clock = (date) => date.toLocaleTimeString('en-GB');
/** not_reused → not reused */
export const words = (name) => name.replaceAll('_', ' ');
