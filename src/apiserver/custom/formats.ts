import { isIPv4, isIPv6 } from "node:net";

/**
 * The values of `format` that are checked; others mean nothing (apiextensions-apiserver pkg/apiserver/validation/
 * formats.go, k8s.io/kube-openapi/pkg/validation/strfmt).
 */
const formats: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: (t) => /^[0-9a-f]{24}$/i.test(t),
  uri: isUri,
  email: (t) => /^[^\s@<>()]+@[^\s@<>()]+$/.test(t),
  hostname: isHostname,
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: isCidr,
  mac: (t) => /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(t) || /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$/i.test(t),
  uuid: (t) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(t),
  uuid3: (t) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(t),
  uuid4: (t) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i.test(t),
  uuid5: (t) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i.test(t),
  hexcolor: (t) => /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.test(t),
  rgbcolor: (t) => /^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$/.test(t),
  byte: (t) => t.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(t),
  date: (t) => /^\d{4}-\d\d-\d\d$/.test(t) && isDate(t),
  "date-time": isDateTime,
  datetime: isDateTime,
  duration: isDuration,
  "k8s-short-name": (t) => t.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(t),
  "k8s-long-name": (t) =>
    t.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(t),
};

/** Whether a text has a format; texts of an unknown format always have. */
export function hasFormat(format: string, text: string): boolean {
  return !Object.hasOwn(formats, format) || (formats[format] as (t: string) => boolean)(text);
}

function isUri(text: string): boolean {
  // Go's url.ParseRequestURI: a scheme, or a path from the root.
  return /^\/[^\s]*$/.test(text) || (/^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$/.test(text) && URL.canParse(text));
}

function isHostname(text: string): boolean {
  if (text.length > 255) return false;
  // One label at a time: as one pattern it would try every way to cut a text without dots.
  const labels = text.replace(/\.$/, "").split(".");
  return labels.every((label) => /^[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$/.test(label));
}

function isCidr(text: string): boolean {
  const [address = "", bits = "", more] = text.split("/");
  if (more !== undefined || !/^\d{1,3}$/.test(bits)) return false;
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128);
}

function isDate(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function isDateTime(text: string): boolean {
  const match = /^(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?$/.exec(text);
  if (!match) return false;
  return isDate(match[1] as string) && Number(match[2]) < 24 && Number(match[3]) < 60 && Number(match[4]) <= 60;
}

/** Go's durations, and words such as `2 days`. */
function isDuration(text: string): boolean {
  if (/^[+-]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*)$/.test(text))
    return true;
  return /^(\d+)\s*(nanoseconds?|microseconds?|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|d|weeks?|wks?|w)$/i.test(
    text,
  );
}
