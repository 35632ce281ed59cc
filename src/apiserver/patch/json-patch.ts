import { equalJson } from "#base/json.ts";
import { badRequest, StatusError } from "../errors.ts";
import { cloneJson, type Dict, isDict, setField } from "../object.ts";

/** Most operations that one patch may have (apiserver's MaxJSONPatchOperations). */
const maxOperations = 10_000;

/** Most JSON that the copies of one patch may add together, in characters (apiserver's JSONPatchMaxCopyBytes). */
const maxCopied = 3 * 1024 * 1024;

/** Most elements that one patch may move: 10,000 insertions at the front of an array of 10,000 fit, a second does not pass. */
const maxMoved = 1 << 27;

/** A document that is being patched. */
interface Root {
  document: unknown;
  /** JSON that was copied so far, in characters. */
  copied: number;
  /** Elements of arrays that were moved so far, to make room or to close a gap. */
  moved: number;
}

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** Applies a JSON patch (RFC 6902) to a copy of a document. Throws StatusError 400, or 422 where it does not fit. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch))
    throw badRequest("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  if (patch.length > maxOperations) {
    throw new StatusError(
      413,
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  }
  const root: Root = { document: cloneJson(document), copied: 0, moved: 0 };
  for (const operation of patch) {
    if (!isDict(operation)) throw badRequest("error decoding patch: an operation must be an object");
    applyOperation(root, operation as unknown as Operation);
  }
  return root.document;
}

function applyOperation(root: Root, operation: Operation): void {
  const { op, path } = operation;
  if (typeof path !== "string") throw badRequest("error decoding patch: operation without a path");
  switch (op) {
    case "add":
      add(root, path, cloneJson(operation.value));
      return;
    case "remove":
      remove(root, path);
      return;
    case "replace":
      replace(root, path, cloneJson(operation.value));
      return;
    case "move":
      add(root, path, remove(root, origin(operation)));
      return;
    case "copy":
      add(root, path, copied(root, find(root, origin(operation))));
      return;
    case "test":
      if (!equalJson(find(root, path), operation.value)) throw unfit();
      return;
    default:
      throw unfit();
  }
}

/** A copy, as long as the patch has not copied too much: a few copies of copies would fill the memory. */
function copied(root: Root, value: unknown): unknown {
  root.copied += JSON.stringify(value).length;
  if (root.copied > maxCopied) throw unfit();
  return cloneJson(value);
}

function origin({ from, op }: Operation): string {
  if (typeof from !== "string") throw badRequest(`error decoding patch: ${op} without from`);
  return from;
}

/** The 422 of a patch that does not fit, which as upstream does not say why. */
function unfit(): StatusError {
  return new StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {});
}

function tokens(path: string): string[] {
  if (path === "") return [];
  if (!path.startsWith("/")) throw unfit();
  return path
    .slice(1)
    .split("/")
    .map((t) => t.replace(/~1/g, "/").replace(/~0/g, "~"));
}

function child(value: unknown, token: string): unknown {
  if (Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(token) ? value[Number(token)] : undefined;
  return isDict(value) && Object.hasOwn(value, token) ? value[token] : undefined;
}

function find(root: Root, path: string): unknown {
  let value = root.document;
  for (const token of tokens(path)) {
    value = child(value, token);
    if (value === undefined) throw unfit();
  }
  return value;
}

function parent(root: Root, path: string): { holder: unknown[] | Dict; last: string } {
  const all = tokens(path);
  const last = all.pop() as string;
  const holder = all.reduce((value, token) => child(value, token), root.document);
  if (Array.isArray(holder) || isDict(holder)) return { holder, last };
  throw unfit();
}

function add(root: Root, path: string, value: unknown): void {
  if (path === "") {
    root.document = value;
    return;
  }
  const { holder, last } = parent(root, path);
  if (!Array.isArray(holder)) {
    setField(holder, last, value);
    return;
  }
  if (last !== "-" && !/^(0|[1-9]\d*)$/.test(last)) throw unfit();
  const index = last === "-" ? holder.length : Number(last);
  if (index > holder.length) throw unfit();
  noteMoved(root, holder.length - index);
  holder.splice(index, 0, value);
}

function replace(root: Root, path: string, value: unknown): void {
  find(root, path);
  if (path === "") {
    root.document = value;
    return;
  }
  const { holder, last } = parent(root, path);
  if (Array.isArray(holder)) holder[Number(last)] = value;
  else setField(holder, last, value);
}

/** Every operation may move as many elements as there are: a few kilobytes of them would stop the server for long. */
function noteMoved(root: Root, count: number): void {
  root.moved += count;
  if (root.moved <= maxMoved) return;
  const message = `The allowed maximum of array elements moved by a JSON patch is ${maxMoved}`;
  throw new StatusError(413, "RequestEntityTooLarge", message);
}

function remove(root: Root, path: string): unknown {
  const value = find(root, path);
  const { holder, last } = parent(root, path);
  if (Array.isArray(holder)) {
    noteMoved(root, holder.length - Number(last));
    holder.splice(Number(last), 1);
  } else delete holder[last];
  return value;
}
