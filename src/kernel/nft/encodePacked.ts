import { MessageWriter } from "#kernel/netlink/index.ts";
import { DATA, ELEMENT, LIST_ELEM } from "./constants.ts";
import type { PackedElements } from "./packed.ts";

/** Bytes before the key: the headers of the list's entry, of the key and of its value; then the data's two headers. */
const KEY_AT = 12;
const DATA_HEADERS = 8;

/** Bytes of one element in a message. @param whole with its data, not the key alone */
export function packedSize({ keyLength, dataLength }: PackedElements, whole: boolean): number {
  return KEY_AT + keyLength + (whole ? DATA_HEADERS + dataLength : 0);
}

/** Writes elements `from` to `to` as entries of a list: all have one form, so that only keys and values are copied. */
export function writePacked(
  writer: MessageWriter,
  elements: PackedElements,
  [from, to]: readonly [number, number],
  whole: boolean,
): void {
  const { keyLength, dataLength, bytes } = elements;
  const form = elementForm(elements, whole);
  const out = writer.reserve(form.length * (to - from));
  const stride = keyLength + dataLength;
  const { length } = form;
  for (let i = from, at = 0; i < to; i++, at += length) {
    const key = i * stride;
    const value = key + keyLength;
    const valueAt = at + KEY_AT + keyLength + DATA_HEADERS;
    // Byte by byte: for so few of them a call of what is native costs more.
    for (let j = 0; j < length; j++) out[at + j] = form[j] as number;
    for (let j = 0; j < keyLength; j++) out[at + KEY_AT + j] = bytes[key + j] as number;
    if (whole) for (let j = 0; j < dataLength; j++) out[valueAt + j] = bytes[value + j] as number;
  }
}

/** An element with zeros in place of key and value. */
function elementForm({ keyLength, dataLength }: PackedElements, whole: boolean): Buffer {
  const w = new MessageWriter(256).begin(0);
  const before = w.length;
  w.nest(LIST_ELEM, () => {
    w.nest(ELEMENT.KEY, () => w.attribute(DATA.VALUE, new Uint8Array(keyLength)));
    if (whole) w.nest(ELEMENT.DATA, () => w.attribute(DATA.VALUE, new Uint8Array(dataLength)));
  });
  return w.end().bytes().subarray(before);
}
