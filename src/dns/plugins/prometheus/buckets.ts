/** CoreDNS' buckets of durations in seconds: 0.25 ms doubled up to 8 s. */
export const dnsDurations: readonly number[] = Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i);
