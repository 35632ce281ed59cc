/**
 * Writes src/apiserver/schema/structure.ts and descriptions.ts: what the fields of Kubernetes' objects are called,
 * which type and protobuf number they have, and what the documentation says about them.
 *
 * Inputs: the jar of Maven's `io.kubernetes:client-java-proto` (file descriptors inside its classes: names, numbers,
 * types) and the dev dependency `@kubernetes/client-node` (which fields the JSON has, which are required, descriptions).
 *
 * Usage: node scripts/generate-schema.ts path/to/client-java-proto.jar
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { definitionStructure } from "../src/apiserver/schema/apiextensions.ts";
import { pointerScalars } from "./generate-schema-pointers.ts";

/** API groups whose types are served; `meta` comes with all of them. */
const packages = [
  "core.v1",
  "apps.v1",
  "batch.v1",
  "networking.v1",
  "discovery.v1",
  "events.v1",
  "rbac.v1",
  "coordination.v1",
  "policy.v1",
  "scheduling.v1",
  "storage.v1",
  "autoscaling.v1",
  "autoscaling.v2",
  "authentication.v1",
  "authorization.v1",
  "certificates.v1",
  "node.v1",
  "resource.v1",
  "admissionregistration.v1",
  "flowcontrol.v1",
  "apidiscovery.v2",
  "meta.v1",
];

interface Field {
  name: string;
  number: number;
  repeated: boolean;
  /** FieldDescriptorProto.Type. */
  type: number;
  typeName: string;
}
interface Message {
  name: string;
  fields: Field[];
  mapEntry: boolean;
}

/** The string constants of a class file, as raw bytes (JVM specification 4.4; modified UTF-8). */
function stringConstants(classFile: Buffer): Buffer[] {
  const utf8 = new Map<number, Buffer>();
  const strings: number[] = [];
  const count = classFile.readUInt16BE(8);
  const sizes: Record<number, number> = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
  };
  let at = 10;
  for (let i = 1; i < count; i++) {
    const tag = classFile.readUInt8(at++);
    if (tag === 1) {
      const length = classFile.readUInt16BE(at);
      utf8.set(i, classFile.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      continue;
    }
    if (tag === 8) strings.push(classFile.readUInt16BE(at));
    at += sizes[tag] ?? 0;
    if (tag === 5 || tag === 6) i++;
  }
  return strings.map((index) => latin1(utf8.get(index) ?? Buffer.alloc(0)));
}

/** Modified UTF-8 of characters up to U+00FF to the bytes they stand for. */
function latin1(bytes: Buffer): Buffer {
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i] as number;
    if (b < 0x80) out.push(b);
    else if ((b & 0xe0) === 0xc0) out.push(((b & 0x1f) << 6) | ((bytes[++i] as number) & 0x3f));
    else i += 2;
  }
  return Buffer.from(out);
}

/** protoc cuts a descriptor into string constants of 16,000 bytes. */
const pieceLength = 16_000;

function fileDescriptor(classFile: Buffer): Buffer | undefined {
  const strings = stringConstants(classFile);
  const start = strings.findIndex((s) => s[0] === 0x0a && s.subarray(0, 120).includes(".proto"));
  if (start < 0) return undefined;
  const pieces: Buffer[] = [];
  for (let i = start; i < strings.length; i++) {
    const piece = strings[i] as Buffer;
    pieces.push(piece);
    if (piece.length < pieceLength) break;
  }
  return Buffer.concat(pieces);
}

/** Splits a protobuf message into its fields: [number, value] where value is bytes or a varint. */
function* protoFields(bytes: Buffer): Generator<[number, Buffer | number]> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const b = bytes[at++] as number;
      value += (b & 0x7f) * 2 ** shift;
      if (b < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) yield [tag >> 3, varint()];
    else if (wire === 2) {
      const length = varint();
      yield [tag >> 3, bytes.subarray(at, at + length)];
      at += length;
    } else at += wire === 1 ? 8 : 4;
  }
}

function readMessage(bytes: Buffer, prefix: string, out: Map<string, Message>): void {
  const message: Message = { name: "", fields: [], mapEntry: false };
  const nested: Buffer[] = [];
  for (const [number, value] of protoFields(bytes)) {
    if (number === 1) message.name = `${prefix}.${value}`;
    if (number === 2) message.fields.push(readField(value as Buffer));
    if (number === 3) nested.push(value as Buffer);
    if (number === 7)
      for (const [option, flag] of protoFields(value as Buffer)) if (option === 7) message.mapEntry = flag === 1;
  }
  out.set(message.name, message);
  for (const n of nested) readMessage(n, message.name, out);
}

function readField(bytes: Buffer): Field {
  const field: Field = { name: "", number: 0, repeated: false, type: 0, typeName: "" };
  for (const [number, value] of protoFields(bytes)) {
    if (number === 1) field.name = `${value}`;
    if (number === 3) field.number = value as number;
    if (number === 4) field.repeated = value === 3;
    if (number === 5) field.type = value as number;
    if (number === 6) field.typeName = `${value}`.slice(1);
  }
  return field;
}

function readJar(jar: string): Map<string, Message> {
  const messages = new Map<string, Message>();
  const entries = execFileSync("unzip", ["-Z1", jar], { encoding: "utf8", maxBuffer: 1 << 26 }).split("\n");
  const wanted = entries.filter((e) => /^io\/kubernetes\/client\/proto\/[^$]*\.class$/.test(e));
  for (const entry of wanted) {
    const descriptor = fileDescriptor(execFileSync("unzip", ["-p", jar, entry], { maxBuffer: 1 << 26 }));
    if (!descriptor) continue;
    let pkg = "";
    const bodies: Buffer[] = [];
    for (const [number, value] of protoFields(descriptor)) {
      if (number === 2) pkg = `${value}`;
      if (number === 4) bodies.push(value as Buffer);
    }
    for (const body of bodies) readMessage(body, pkg, messages);
  }
  return messages;
}

/** `k8s.io.api.core.v1.Pod` → `core.v1.Pod`; undefined for packages that are not served. */
function shortName(full: string): string {
  return full
    .replace(/^k8s\.io\.apimachinery\.pkg\.apis\.meta\./, "meta.")
    .replace(/^k8s\.io\.apimachinery\.pkg\.api\.resource\./, "")
    .replace(/^k8s\.io\.apimachinery\.pkg\.(runtime|util\.intstr)\./, "")
    .replace(/^k8s\.io\.api\./, "")
    .replace(/^meta\.v1\.(Time|MicroTime|Duration|FieldsV1)$/, "$1");
}

const models = new URL("../node_modules/@kubernetes/client-node/dist/gen/models/", import.meta.url);

interface Model {
  names: Map<string, string>;
  required: Set<string>;
  description: string;
  fields: Map<string, string>;
}

const groupPrefix: Record<string, string> = {
  apiextensions: "Apiextensions",
  core: "Core",
  events: "Events",
  discovery: "Discovery",
  authentication: "Authentication",
  storage: "Storage",
  rbac: "Rbac",
  authorization: "Authorization",
  resource: "Resource",
  admissionregistration: "Admissionregistration",
  apiregistration: "Apiregistration",
  flowcontrol: "Flowcontrol",
};

/** `field:typeCode=number …` of types that the jar lacks (k8s.io/kube-aggregator/pkg/apis/apiregistration/v1). */
const aggregator: Readonly<Record<string, string>> = {
  "apiregistration.v1.APIService":
    "metadata:meta.v1.ObjectMeta=1 spec:apiregistration.v1.APIServiceSpec=2 status:apiregistration.v1.APIServiceStatus=3",
  "apiregistration.v1.APIServiceCondition": "type:s=1 status:s=2 lastTransitionTime:Time=3 reason:s=4 message:s=5",
  "apiregistration.v1.APIServiceList": "metadata:meta.v1.ListMeta=1 items:[]apiregistration.v1.APIService=2",
  "apiregistration.v1.APIServiceSpec":
    "service:apiregistration.v1.ServiceReference=1 group:s=2 version:s=3 insecureSkipTLSVerify:b=4 caBundle:y=5 groupPriorityMinimum:i=7 versionPriority:i=8",
  "apiregistration.v1.APIServiceStatus": "conditions:[]apiregistration.v1.APIServiceCondition=1",
  "apiregistration.v1.ServiceReference": "namespace:s=1 name:s=2 port:i=3",
};

/** Reads names, required marks and descriptions of one class of the client; undefined where it has no such class. */
function readModel(short: string): Model | undefined {
  const [group = "", version = "", name = ""] = short.split(".");
  const v = version[0]?.toUpperCase() + version.slice(1);
  const file = [`${groupPrefix[group] ?? ""}${v}${name}`, `${v}${name}`, `${v}${name.replace(/^Job$/, "Job")}`]
    .map((c) => new URL(`${c}.d.ts`, models))
    .find((url) => existsSync(url));
  if (!file) return undefined;
  const text = readFileSync(file, "utf8");
  const js = readFileSync(new URL(file.href.replace(/\.d\.ts$/, ".js")), "utf8");
  const names = new Map<string, string>();
  for (const m of js.matchAll(/"name": "([^"]+)",\s*"baseName": "([^"]+)"/g)) names.set(m[1] as string, m[2] as string);
  const body = text.slice(text.indexOf("export declare class"));
  const head = /\/\*\*\n\* ([^\n]*)\n\*\/\nexport declare class/.exec(text);
  const required = new Set<string>();
  const fields = new Map<string, string>();
  for (const m of body.matchAll(/(?:\/\*\*\n\s*\* ([^\n]*)\n\s*\*\/\n\s*)?'([^']+)'(\?)?: /g)) {
    const base = names.get(m[2] as string) ?? (m[2] as string);
    fields.set(base, clean(m[1] ?? ""));
    if (!m[3]) required.add(base);
  }
  return { names, required, description: clean(head?.[1] ?? ""), fields };
}

/** Undoes the client generator's escapes; keeps the text within Latin-1 so that the file stays one byte a character. */
function clean(text: string): string {
  return text
    .replace(/\\(['"`\\])/g, "$1")
    .replace(/\*_\//g, "*/")
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/\u2026/g, "...")
    .replace(/[^\x20-\xff]/g, " ")
    .trim();
}

const scalar: Record<number, string> = { 1: "d", 2: "d", 3: "l", 4: "l", 5: "i", 8: "b", 9: "s", 12: "y", 13: "i" };

function typeCode(field: Field, messages: Map<string, Message>): string {
  if (field.type !== 11) return (field.repeated ? "[]" : "") + (scalar[field.type] ?? "?");
  const target = messages.get(field.typeName);
  if (target?.mapEntry) {
    const value = target.fields.find((f) => f.number === 2) as Field;
    return `{}${typeCode(value, messages)}`;
  }
  return `${field.repeated ? "[]" : ""}${shortName(field.typeName)}`;
}

/** One field with its type in the table's code. */
interface CodedField {
  readonly name: string;
  readonly code: string;
  readonly number: number;
}

/** The fields of one type as the table has them. */
function typeLine(short: string, fields: readonly CodedField[], model: Model | undefined): string {
  const base = new Set(model?.names.values() ?? []);
  const parts = ["apiVersion", "kind"]
    .filter((name) => base.has(name) && !fields.some((f) => f.name === name))
    .map((name) => `${name}:s=0`);
  const spelled = new Map([...base].map((name) => [name.toLowerCase(), name]));
  for (const { name: given, code, number } of fields) {
    // A few protobuf names have other capitals than the JSON's: uID is uid there; Port of DaemonEndpoint is right.
    const name = spelled.get(given.toLowerCase()) ?? given.replace(/^[A-Z]/, (c) => c.toLowerCase());
    const structure = /^[a-zA-Z]\w*\./.test(code) || /^[A-Z]/.test(code);
    const inline = model && structure && !base.has(name) ? "~" : "";
    const pointer = code.length === 1 && pointerScalars(short, name) ? "*" : "";
    const required = model?.required.has(name) ? "!" : "";
    parts.push(`${name}:${code}${inline}${pointer}${required}=${number}`);
  }
  return parts.join(" ");
}

function generate(jar: string): void {
  const messages = readJar(jar);
  const served = [...messages.values()].filter(
    (m) =>
      !m.mapEntry &&
      packages.some((p) => shortName(m.name).startsWith(`${p}.`)) &&
      !/^(meta\.v1\.)?(Time|MicroTime|Duration|FieldsV1|Timestamp|Verbs)$/.test(shortName(m.name)),
  );
  const lines: string[] = [];
  const docs: Record<string, [string, Record<string, string>]> = {};
  const document = (short: string, model: Model | undefined): void => {
    if (model) docs[short] = [model.description, Object.fromEntries([...model.fields].filter(([, d]) => d))];
  };
  const write = (short: string, fields: readonly CodedField[]): void => {
    const model = readModel(short);
    lines.push(`${short} ${typeLine(short, fields, model)}`);
    document(short, model);
  };
  for (const m of served)
    write(
      shortName(m.name),
      m.fields.map((f) => ({ name: f.name, code: typeCode(f, messages), number: f.number })),
    );
  for (const [short, text] of Object.entries(aggregator))
    write(
      short,
      text.split(" ").map((part) => {
        const [, name = "", code = "", number] = /^(.+?):(.+)=(\d+)$/.exec(part) ?? [];
        return { name, code, number: Number(number) };
      }),
    );
  for (const [, short = ""] of definitionStructure.matchAll(/^(\S+) /gm)) document(short, readModel(short));
  lines.sort((a, b) => ((a.split(" ")[0] as string) < (b.split(" ")[0] as string) ? -1 : 1));
  const out = new URL("../src/apiserver/schema/", import.meta.url);
  writeFileSync(
    new URL("structure.ts", out),
    `// Generated by scripts/generate-schema.ts: names, types and protobuf numbers of Kubernetes' API types (v1.36).\n// One type a line: \`name field:type=number …\`; [] list, {} map, ~ inlined in JSON, * pointer in Go, ! required.\nexport const structure = \`\n${lines.join("\n")}\n\`;\n`,
  );
  const packed = brotliCompressSync(Buffer.from(JSON.stringify(docs)), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11 },
  });
  writeFileSync(
    new URL("descriptions.ts", out),
    `// Generated by scripts/generate-schema.ts from the API descriptions of Kubernetes v1.36 (Apache-2.0, see NOTICE).\n// JSON {type: [description, {field: description}]}, brotli, base64.\nexport const descriptions =\n  "${packed.toString("base64")}";\n`,
  );
  console.log(`${lines.length} types, structure ${lines.join("\n").length} bytes, descriptions ${packed.length} bytes`);
}

const jar = process.argv[2];
if (!jar) throw new Error("usage: node scripts/generate-schema.ts path/to/client-java-proto.jar");
generate(jar);
