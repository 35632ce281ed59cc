import { describe, expect, it } from "vitest";
import { Metrics } from "./metrics.ts";

describe("Metrics", () => {
  it("writes Prometheus' text format", () => {
    const metrics = new Metrics();
    metrics.counter("b_total", "Counts.").inc({ zone: 'a"b' });
    metrics.counter("b_total", "Counts.").inc({ zone: 'a"b' }, 2);
    metrics.gauge("a", "Level.").set(1.5);
    const histogram = metrics.histogram("c_seconds", "Time.", [0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value, { p: "x" });
    expect(metrics.text()).toBe(`# HELP a Level.
# TYPE a gauge
a 1.5
# HELP b_total Counts.
# TYPE b_total counter
b_total{zone="a\\"b"} 3
# HELP c_seconds Time.
# TYPE c_seconds histogram
c_seconds_bucket{p="x",le="0.1"} 2
c_seconds_bucket{p="x",le="1"} 3
c_seconds_bucket{p="x",le="+Inf"} 4
c_seconds_sum{p="x"} 7.65
c_seconds_count{p="x"} 4
`);
  });
});
