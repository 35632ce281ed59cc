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
  const form = elementForm(elements, whole);
  const out = words(writer.reserve(form.length * (to - from)));
  const bytes = words(elements.bytes);
  const inForm = words(form);
  const keyLength = elements.keyLength / 4;
  const stride = keyLength + elements.dataLength / 4;
  const length = form.length / 4;
  const keyAt = KEY_AT / 4;
  const valueAt = keyAt + keyLength + DATA_HEADERS / 4;
  for (let i = from, at = 0, key = from * stride; i < to; i++, at += length, key += stride) {
    // Word by word: for so few of them a call of what is native costs more.
    for (let j = 0; j < length; j++) out[at + j] = inForm[j] as number;
    for (let j = 0; j < keyLength; j++) out[at + keyAt + j] = bytes[key + j] as number;
    if (whole) for (let j = keyLength; j < stride; j++) out[at + valueAt + j - keyLength] = bytes[key + j] as number;
  }
}

/** The same memory in units of four bytes, to which all that is in messages is aligned. */
function words({ buffer, byteOffset, byteLength }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}

/** An element with zeros in place of key and value. */
function elementForm({ keyLength, dataLength }: PackedElements, whole: boolean): Buffer {
  const w = new MessageWriter(256).begin(0);
  const before = w.length;
  w.nest(LIST_ELEM, () => {
    w.nest(ELEMENT.KEY, () => w.attribute(DATA.VALUE, new Uint8Array(keyLength)));
    if (whole) w.nest(ELEMENT.DATA, () => w.attribute(DATA.VALUE, new Uint8Array(dataLength)));
  });
  return Buffer.concat([w.end().bytes().subarray(before)]);
}
