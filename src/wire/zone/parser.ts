import { className, RecordClass, RecordType, type ResourceRecord, typeNumber } from "#wire/dns/index.ts";
import { type Place, ZoneFileError } from "./errors.ts";
import { generatedLines } from "./generate.ts";
import { type Entry, entriesOf, type Word } from "./lexer.ts";
import { absoluteName, recordData, secondsOf } from "./rdata.ts";

/** What a master file is read with. */
export interface ZoneFileOptions {
  /** Name of the file, for messages. */
  readonly file: string;
  /** Where relative names are below at the beginning; absolute. */
  readonly origin: string;
  /** For records before any TTL is known. Absent: such a record is an error unless it is an SOA. */
  readonly defaultTtl?: number;
  /** Text of a file that $INCLUDE names in `from`, and its name for messages. Absent: $INCLUDE is refused. */
  readonly readInclude?: (name: string, from: string) => { readonly file: string; readonly text: string };
  /** Most records, so that $GENERATE and $INCLUDE cannot fill the memory. Default: four million. */
  readonly maxRecords?: number;
}

/** Deepest nesting of $INCLUDE. */
const maxDepth = 7;

/** What carries over from one entry to the next. */
interface State {
  readonly options: ZoneFileOptions;
  origin: string;
  owner: string | undefined;
  /** Of $TTL. */
  defaultTtl: number | undefined;
  /** Of the last record that named one. */
  lastTtl: number | undefined;
  readonly records: ResourceRecord[];
}

/**
 * Records of a master file (RFC 1035 §5, $TTL of RFC 2308 §4, RFC 3597 §5, BIND's $GENERATE), in its order. Names keep
 * the case that they are written in.
 * @throws ZoneFileError with file and line
 */
export function parseZoneFile(text: string, options: ZoneFileOptions): ResourceRecord[] {
  const state: State = {
    options,
    origin: options.origin,
    owner: undefined,
    defaultTtl: undefined,
    lastTtl: undefined,
    records: [],
  };
  readText(state, options.file, text, 0);
  return state.records;
}

/** One record as it would stand in a master file, names below the root, TTL 3600 where none is written. */
export function parseRecord(text: string, file: string): ResourceRecord {
  const records = parseZoneFile(text, { file, origin: ".", defaultTtl: 3600, maxRecords: 2 });
  const [record] = records;
  if (!record || records.length > 1)
    throw new ZoneFileError({ file, line: 1 }, `${JSON.stringify(text)} is no single record`);
  return record;
}

function readText(state: State, file: string, text: string, depth: number): void {
  for (const entry of entriesOf(file, text)) {
    const [first] = entry.words as [Word];
    if (first.text.startsWith("$") && !first.quoted && !entry.sameOwner) readDirective(state, entry, depth);
    else readRecord(state, entry);
  }
}

function readDirective(state: State, { words, ...at }: Entry, depth: number): void {
  const [directive, argument, second] = words as [Word, Word | undefined, Word | undefined];
  const needed = () => {
    if (!argument) throw new ZoneFileError(at, `${directive.text} without a value`);
    return argument;
  };
  switch (directive.text.toUpperCase()) {
    case "$ORIGIN":
      state.origin = absoluteName(needed(), state.origin);
      return;
    case "$TTL": {
      const ttl = secondsOf(needed().text);
      if (ttl === undefined)
        throw new ZoneFileError(at, `expecting $TTL value, not this: ${JSON.stringify(argument?.text)}`);
      state.defaultTtl = ttl;
      return;
    }
    case "$INCLUDE":
      include(state, needed(), second, depth, at);
      return;
    case "$GENERATE":
      for (const line of generatedLines(words.slice(1), at)) {
        for (const entry of entriesOf(at.file, line)) readRecord(state, moved(entry, at.line));
      }
      return;
    default:
      throw new ZoneFileError(at, `unknown directive ${directive.text}; allowed: $ORIGIN, $TTL, $INCLUDE, $GENERATE`);
  }
}

/** An entry made from a line of its own, with the place of the directive that made it. */
function moved(entry: Entry, line: number): Entry {
  return { ...entry, line, words: entry.words.map((word) => ({ ...word, line })) };
}

function include(state: State, name: Word, origin: Word | undefined, depth: number, at: Place): void {
  const { readInclude } = state.options;
  if (!readInclude) throw new ZoneFileError(at, "$INCLUDE is not allowed here");
  if (depth >= maxDepth) throw new ZoneFileError(at, "too deeply nested $INCLUDE");
  let read: ReturnType<typeof readInclude>;
  try {
    read = readInclude(name.text, at.file);
  } catch (error) {
    throw new ZoneFileError(at, `failed to open ${JSON.stringify(name.text)}: ${(error as Error).message}`);
  }
  // Origin and owner are the including file's again behind it (RFC 1035 §5.1).
  const before = { origin: state.origin, owner: state.owner };
  if (origin) state.origin = absoluteName(origin, state.origin);
  readText(state, read.file, read.text, depth + 1);
  state.origin = before.origin;
  state.owner = before.owner;
}

function readRecord(state: State, entry: Entry): void {
  const { sameOwner, ...at } = entry;
  const words = [...entry.words];
  const owner = sameOwner ? state.owner : absoluteName(words.shift() as Word, state.origin);
  if (owner === undefined) throw new ZoneFileError(at, "record without an owner, and none before it");
  state.owner = owner;
  const { ttl, recordClass } = readTtlAndClass(words);
  const word = words.shift();
  const type = word && !word.quoted ? typeNumber(word.text) : undefined;
  if (!word || type === undefined) throw new ZoneFileError(at, `unknown RR type ${JSON.stringify(word?.text ?? "")}`);
  if (recordClass !== RecordClass.IN && recordClass !== RecordClass.CH && recordClass !== RecordClass.HS) {
    throw new ZoneFileError(at, `class ${className(recordClass)} does not stand in master files`);
  }
  const data = recordData(type, words, state.origin, word);
  if (ttl !== undefined) state.lastTtl = ttl;
  const minimum = data.kind === "soa" ? data.minimum : undefined;
  const known = ttl ?? state.defaultTtl ?? state.lastTtl ?? minimum ?? state.options.defaultTtl;
  if (known === undefined) throw new ZoneFileError(at, "missing TTL with no previous value");
  if (ttl === undefined && state.defaultTtl === undefined && type === RecordType.SOA) state.lastTtl ??= known;
  if (state.records.length >= (state.options.maxRecords ?? 4_000_000)) {
    throw new ZoneFileError(at, `more than ${state.options.maxRecords ?? 4_000_000} records`);
  }
  state.records.push({ name: owner, type, class: recordClass, ttl: known, data });
}

/** Takes TTL and class off the front, in either order. */
function readTtlAndClass(words: Word[]): { readonly ttl: number | undefined; readonly recordClass: number } {
  let ttl: number | undefined;
  let recordClass: number | undefined;
  for (let word = words[0]; word && !word.quoted; word = words[0]) {
    const seconds = ttl === undefined ? secondsOf(word.text) : undefined;
    const found = recordClass === undefined ? classNumber(word.text) : undefined;
    if (seconds !== undefined) ttl = seconds;
    else if (found !== undefined) recordClass = found;
    else break;
    words.shift();
  }
  return { ttl, recordClass: recordClass ?? RecordClass.IN };
}

function classNumber(text: string): number | undefined {
  const upper = text.toUpperCase();
  if (Object.hasOwn(RecordClass, upper)) return RecordClass[upper as keyof typeof RecordClass];
  const digits = /^CLASS(\d{1,5})$/.exec(upper)?.[1];
  return digits !== undefined && Number(digits) <= 0xffff ? Number(digits) : undefined;
}
