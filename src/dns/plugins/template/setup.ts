import { Rcode, RecordClass, RecordType, typeNumber } from "#wire/dns/index.ts";
import { type Fallthrough, noFallthrough, readFallthrough, type Setup } from "../../core/index.ts";
import {
  CorefileError,
  type Directive,
  integer,
  oneArg,
  readProperties,
  regexp,
  type Token,
  zonesOrDefault,
} from "../../corefile/index.ts";
import { GoTemplate, TemplateError, type TemplateFunction } from "./goTemplate.ts";
import { TemplatePlugin } from "./handler.ts";

/** CoreDNS' own function: the unsigned number that a text is in a base, within so many bits. */
const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  [
    "parseInt",
    (text, base, bits) => {
      const value = /^\w+$/.test(String(text)) ? Number.parseInt(String(text), Number(base)) : Number.NaN;
      const exact =
        value.toString(Number(base)) ===
        String(text)
          .toLowerCase()
          .replace(/^0+(?=.)/, "");
      if (!exact || !(value < 2 ** Math.min(Number(bits) || 64, 53))) {
        throw new TemplateError(`error calling parseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
      }
      return value;
    },
  ],
]);

/** `template CLASS TYPE [ZONE...] { match … answer … additional … authority … rcode … ederror … fallthrough … }`. */
export const setup: Setup = (directive, { zones, instance, log }) => {
  const [classToken, typeToken, ...zoneTokens] = directive.args;
  if (!classToken || !typeToken) {
    throw new CorefileError(
      directive.at,
      "template without class and type; expected: template CLASS TYPE [ZONE...] { … }",
    );
  }
  const draft = readBlock(directive, (property) => {
    log.warn(`${property.at.file}:${property.at.line}: upstream of template is deprecated and has no effect`);
  });
  if (draft.answer.length === 0 && draft.authority.length === 0 && draft.rcode === Rcode.NOERROR) {
    throw new CorefileError(directive.at, "no answer section for template found");
  }
  const recordClass = RecordClass[classToken.text.toUpperCase() as keyof typeof RecordClass] as number | undefined;
  if (recordClass === undefined) throw new CorefileError(classToken, `invalid query class ${classToken.text}`);
  const type = typeNumber(typeToken.text);
  if (type === undefined || type === RecordType.OPT)
    throw new CorefileError(typeToken, `invalid RR class ${typeToken.text}`);
  const patterns = draft.patterns.length > 0 ? draft.patterns : [/^/];
  return new TemplatePlugin(
    { ...draft, patterns, class: recordClass, type, zones: zonesOrDefault(zoneTokens, zones) },
    instance,
  );
};

function readBlock(directive: Directive, deprecated: (property: Directive) => void) {
  const patterns: RegExp[] = [];
  const [answer, additional, authority]: [GoTemplate[], GoTemplate[], GoTemplate[]] = [[], [], []];
  let rcode: number = Rcode.NOERROR;
  let error: { code: number; data: Uint8Array } | undefined;
  let fallthrough: Fallthrough = noFallthrough;
  readProperties(directive, {
    match: (property) => void patterns.push(...some(property).map((token) => regexp(token.text, token))),
    answer: (property) => void answer.push(...some(property).map(templateOf)),
    additional: (property) => void additional.push(...some(property).map(templateOf)),
    authority: (property) => void authority.push(...some(property).map(templateOf)),
    rcode: (property) => {
      const text = oneArg(property, "rcode CODE");
      const found = Rcode[text.toUpperCase() as keyof typeof Rcode] as number | undefined;
      if (found === undefined) throw new CorefileError(property.at, `unknown rcode ${text}`);
      rcode = found;
    },
    ederror: (property) => {
      const [code, reason, more] = some(property);
      if (more) throw new CorefileError(property.at, "ederror with more than a code and a reason");
      const number = integer((code as Token).text, property.at, "error parsing extended DNS error code", 0, 0xffff);
      const text = new TextEncoder().encode(reason?.text ?? "");
      error = { code: 15, data: Uint8Array.of(number >> 8, number & 255, ...text) };
    },
    fallthrough: (property) => {
      fallthrough = readFallthrough(property);
    },
    upstream: deprecated,
  });
  return { patterns, answer, additional, authority, rcode, fallthrough, ...(error && { error }) };
}

function some(property: Directive): readonly Token[] {
  if (property.args.length === 0) throw new CorefileError(property.at, `${property.name} without a value`);
  return property.args;
}

function templateOf(token: Token): GoTemplate {
  try {
    return new GoTemplate(token.text, functions);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new CorefileError(token, `could not compile template: ${token.text}, ${error.message}`);
  }
}
