// Numbers as people read them.

const two = (value: number): string => String(value).padStart(2, "0");

/** A span of time, as `jupyter_launch.frontends.record.elapsed` says it, too. */
export function elapsed(seconds: number): string {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
}

export function size(bytes: number): string {
  let unit = 0;
  for (; bytes >= 999.5 && unit < 4; unit++) bytes /= 1000;
  return `${bytes.toFixed(bytes < 9.95 && unit ? 1 : 0)} ${" kMGT".charAt(unit).trim()}B`;
}

/** The time of day, for a column of such. */
export function clock(time: number): string {
  const date = new Date(time * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

const GROUPED = new Intl.NumberFormat("en");

/** A number with separators between thousands. */
export function grouped(value: number): string {
  return GROUPED.format(value);
}
