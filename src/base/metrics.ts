/** Label values by label name. */
export type Labels = Readonly<Record<string, string>>;

/** A number that only grows, per set of label values. */
export interface Counter {
  inc(labels?: Labels, by?: number): void;
  /** Counts under these labels: for what happens so often that writing them out each time would show. */
  series(labels: Labels): () => void;
}

/** A number that goes up and down, per set of label values. */
export interface Gauge {
  set(value: number, labels?: Labels): void;
}

/** A distribution in buckets, per set of label values. */
export interface Histogram {
  /** @param times how often the value was seen; default 1 */
  observe(value: number, labels?: Labels, times?: number): void;
}

/** Upper bounds in seconds that suit most durations (those of Prometheus' client libraries). */
export const durationBuckets: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Family {
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly lines: () => string;
  readonly metric: Counter & Gauge & Histogram;
}

/**
 * Metrics of a program, written in Prometheus' text format 0.0.4. Asking for a name again gives the same metric, so
 * that parts which are set up anew (a reloaded configuration) keep counting.
 */
export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #collectors = new Set<() => void>();

  counter(name: string, help: string): Counter {
    return this.#family(name, () => numbers(name, help, "counter"));
  }

  gauge(name: string, help: string): Gauge {
    return this.#family(name, () => numbers(name, help, "gauge"));
  }

  /** @param buckets upper bounds, ascending, without the infinite one */
  histogram(name: string, help: string, buckets: readonly number[] = durationBuckets): Histogram {
    return this.#family(name, () => distribution(name, help, buckets));
  }

  /** Has a function called before the metrics are read, for values that are kept elsewhere. Returns the end of it. */
  onCollect(collect: () => void): () => void {
    this.#collectors.add(collect);
    return () => void this.#collectors.delete(collect);
  }

  /** All metrics as text, families in the order of their names. */
  text(): string {
    for (const collect of this.#collectors) collect();
    return [...this.#families]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, family]) => `# HELP ${name} ${family.help}\n# TYPE ${name} ${family.type}\n${family.lines()}`)
      .join("");
  }

  #family(name: string, make: () => Family): Counter & Gauge & Histogram {
    let family = this.#families.get(name);
    if (!family) {
      family = make();
      this.#families.set(name, family);
    }
    return family.metric;
  }
}

function numbers(name: string, help: string, type: "counter" | "gauge"): Family {
  const values = new Map<string, number>();
  const add = (key: string, by: number) => void values.set(key, (values.get(key) ?? 0) + by);
  return {
    help,
    type,
    lines: () => [...values].map(([labels, value]) => `${name}${braced(labels)} ${numberText(value)}\n`).join(""),
    metric: {
      inc: (labels = {}, by = 1) => add(labelText(labels), by),
      series: (labels) => {
        const key = labelText(labels);
        return () => add(key, 1);
      },
      set: (value, labels = {}) => void values.set(labelText(labels), value),
      observe: () => {},
    },
  };
}

function distribution(name: string, help: string, buckets: readonly number[]): Family {
  const series = new Map<string, { readonly counts: number[]; sum: number }>();
  const lines = (labels: string, counts: readonly number[], sum: number) => {
    let below = 0;
    let text = "";
    const prefix = labels === "" ? "" : `${labels},`;
    for (const [i, bound] of [...buckets, Number.POSITIVE_INFINITY].entries()) {
      below += counts[i] ?? 0;
      text += `${name}_bucket{${prefix}le="${numberText(bound)}"} ${below}\n`;
    }
    return `${text}${name}_sum${braced(labels)} ${numberText(sum)}\n${name}_count${braced(labels)} ${below}\n`;
  };
  return {
    help,
    type: "histogram",
    lines: () => [...series].map(([labels, { counts, sum }]) => lines(labels, counts, sum)).join(""),
    metric: {
      inc: () => {},
      series: () => () => {},
      set: () => {},
      observe: (value, labels = {}, times = 1) => {
        const key = labelText(labels);
        let entry = series.get(key);
        if (!entry) {
          entry = { counts: new Array<number>(buckets.length + 1).fill(0), sum: 0 };
          series.set(key, entry);
        }
        const found = buckets.findIndex((bound) => value <= bound);
        const index = found < 0 ? buckets.length : found;
        entry.counts[index] = (entry.counts[index] ?? 0) + times;
        entry.sum += value * times;
      },
    },
  };
}

function labelText(labels: Labels): string {
  let text = "";
  for (const name in labels) {
    const value = escaped(labels[name] as string);
    text += `${text === "" ? "" : ","}${name}="${value}"`;
  }
  return text;
}

function escaped(value: string): string {
  // Hardly any value has one of these, and three searches with replacements cost ten times as much as one without.
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function braced(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
