/** RFC 3339 in UTC with whole seconds, as Kubernetes' objects have times (metav1.Time). */
export function wholeSeconds(date: Date = new Date()): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
