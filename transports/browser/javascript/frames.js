// What crosses a bridge, checked on its way: values, frames, errors.  For bridge.js and carriers.js.
// transports/sansio/bridge_frames.py describes frames.

export const VERSION = 1;
export const LIMITS = Object.freeze({
  textCharactersMax: 256 * 1024, // JSON is read in one go, in which the page does nothing else
  bytesMax: 4 * 1024 * 1024, // of all byte strings of a frame: one video segment
  partsMax: 64, // byte strings in a frame
  asksMax: 256, // each way, at once
  askTimeoutMs: 5000,
  helloTimeoutMs: 5000,
  mailboxMax: 1000, // messages that wait for one of our actors
});
const DEPTH_MAX = 32;
export const NAME_MAX = 200;

export class BridgeError extends Error {
  constructor(message, name = new.target.name) {
    super(message);
    this.name = name;
  }
}
export class AskTimedOut extends BridgeError {} // no answer in time
export class AskDropped extends BridgeError {} // the actor's mailbox dropped the question
export class ActorStopped extends BridgeError {} // no such actor lives now
export class MailboxFull extends BridgeError {} // the actor has as many messages as it may
export class NoRoutee extends BridgeError {} // behind a router nobody has room
export class UnhandledMessage extends BridgeError {} // the actor has no handler for it
export class HandlerFailed extends BridgeError {} // the handler raised; what it said stays there
export class NotRegistered extends BridgeError {} // the other side exposes no such actor, or not for such messages
export class BadMessage extends BridgeError {} // wrong fields, or what cannot cross
export class MessageTooLarge extends BridgeError {} // beyond the limits: send less at once
export class Overloaded extends BridgeError {} // more at once than a limit allows: wait for some answers
export class BridgeClosed extends BridgeError {} // the bridge is not open any more; connect again
export const ERRORS = {
  ...{ AskTimedOut, AskDropped, ActorStopped, MailboxFull, NoRoutee, UnhandledMessage, HandlerFailed },
  ...{ NotRegistered, BadMessage, MessageTooLarge, Overloaded, BridgeClosed },
};

// Values

export const isPlain = (value) => {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};
export const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text);
const isSafe = (number) => Number.isSafeInteger(number) && number >= 1;
const isName = (name) => typeof name === "string" && name.length >= 1 && name.length <= NAME_MAX;

export function checkedName(name) {
  if (!isName(name)) throw new BadMessage(`a name is text of 1 to ${NAME_MAX} characters`);
  return name;
}

export function takeOut(value) {
  const parts = [];
  const at = [];
  return { body: withoutBytes(value, [], parts, at), parts, at };
}

function withoutBytes(value, place, parts, at) {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") {
    if (value.isWellFormed?.() === false) throw new BadMessage(`the text at ${place.join(".")} is no Unicode`);
    return value;
  }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new BadMessage(`${value} at ${place.join(".")} cannot be written as JSON`);
    return value;
  }
  if (value instanceof Uint8Array) {
    parts.push(value);
    at.push(place);
    return null;
  }
  if (place.length >= DEPTH_MAX) throw new BadMessage(`it is nested more than ${DEPTH_MAX} deep`);
  if (Array.isArray(value)) return value.map((inner, index) => withoutBytes(inner, [...place, index], parts, at));
  if (!isPlain(value)) throw new BadMessage(`what is at ${place.join(".") || "the top"} is no plain value, and no Uint8Array`);
  const whole = Object.create(null);
  for (const [key, inner] of Object.entries(value))
    if (inner !== undefined) whole[key] = withoutBytes(inner, [...place, key], parts, at);
  return whole;
}

function putBack(body, parts, at) {
  const root = [body];
  for (const [index, place] of at.entries()) {
    if (!Array.isArray(place) || place.length > DEPTH_MAX) return null;
    let holder = root;
    let step = 0;
    for (const following of place) {
      holder = inside(holder, step);
      step = following;
    }
    if (inside(holder, step) !== null) return null;
    holder[step] = parts[index];
  }
  return root;
}

function inside(holder, step) {
  const fits = Array.isArray(holder) ? Number.isSafeInteger(step) : isPlain(holder) && typeof step === "string";
  return fits && Object.hasOwn(holder, step) ? holder[step] : undefined;
}

// Frames

export function tooLarge(text, parts, limits) {
  if (text.length > limits.textCharactersMax)
    return `${text.length} characters of text in one frame; the limit is ${limits.textCharactersMax}`;
  if (parts.length > limits.partsMax) return `${parts.length} byte strings in one frame; the limit is ${limits.partsMax}`;
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  return size > limits.bytesMax ? `${size} bytes in one frame; the limit is ${limits.bytesMax}` : null;
}

/** The frame with its byte strings in place, or null. */
export function decoded(text, parts) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isPlain(frame)) return null;
  const { op, id, to, type, body = null, at = [], version, why, name, message } = frame;
  const speaks = ["tell", "ask", "answer"].includes(op);
  const isRight = {
    hello: () => Number.isSafeInteger(version),
    tell: () => isName(to) && isName(type) && isPlain(body),
    ask: () => isSafe(id) && isName(to) && isName(type) && isPlain(body),
    answer: () => isSafe(id),
    fail: () => isSafe(id) && isName(name) && typeof message === "string",
    cancel: () => isSafe(id),
    bye: () => typeof why === "string",
  };
  if (!Object.hasOwn(isRight, op) || !isRight[op]()) return null;
  if (!speaks) return parts.length === 0 ? frame : null;
  if (!Array.isArray(at) || at.length !== parts.length) return null;
  const root = putBack(body, parts, at);
  return root === null ? null : { ...frame, body: root[0] };
}

/** One message: lengths, text, byte strings.  One copy of each. */
export function join(text, parts) {
  const encoded = new TextEncoder().encode(text);
  const pieces = [encoded, ...parts];
  const start = 4 * (1 + pieces.length);
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, start));
  const view = new DataView(whole.buffer);
  view.setUint32(0, parts.length);
  let next = start;
  for (const [index, piece] of pieces.entries()) {
    view.setUint32(4 * (1 + index), piece.byteLength);
    whole.set(piece, next);
    next += piece.byteLength;
  }
  return whole;
}

/** What `join` made, or null.  The byte strings are views: no copy. */
const PARTS_READ_MAX = 4096; // what a bridge takes is its own to say; a view of a part takes more than most parts

export function split(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 8) return null;
  const count = view.getUint32(0);
  let next = 4 * (2 + count);
  if (count > PARTS_READ_MAX || next > buffer.byteLength) return null;
  const pieces = [];
  for (let index = 0; index <= count; index += 1) {
    const length = view.getUint32(4 * (1 + index));
    if (next + length > buffer.byteLength) return null;
    pieces.push(new Uint8Array(buffer, next, length));
    next += length;
  }
  return next === buffer.byteLength ? { text: new TextDecoder().decode(pieces[0]), parts: pieces.slice(1) } : null;
}
