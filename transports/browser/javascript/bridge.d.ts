/** Types of bridge.js, which says how it is used. */

/** What may cross: numbers are finite, and exact up to 2**53; bytes are Uint8Array. */
export type Value = null | boolean | number | string | Uint8Array | Value[] | { [key: string]: Value | undefined };

/** `type` names the message's class in Python; the rest are its fields. */
export type Message = { type: string } & { [field: string]: Value | undefined };

export type Handler = (message: any, context: { signal: AbortSignal | null }) => Value | void | Promise<Value | void>;

export interface Limits {
  textCharactersMax: number;
  bytesMax: number;
  partsMax: number;
  asksMax: number;
  askTimeoutMs: number;
  helloTimeoutMs: number;
  mailboxMax: number;
}

export interface Options {
  /** Actors of this side: a function for every message, or an object (or instance) with a method for each type. */
  actors?: Record<string, Handler | object>;
  /** Errors that both sides know by name; each is made of its message. */
  errors?: Record<string, new (message: string) => Error>;
  /** Where the other side asks for one. */
  token?: string | null;
  limits?: Partial<Limits>;
}

export interface Statistics {
  sent: number;
  received: number;
  dropped: Record<string, number>;
  asked: number;
  questions: number;
}

export interface Bridge {
  /** Send and go on.  Throws BadMessage, MessageTooLarge, Overloaded, BridgeClosed. */
  tell(name: string, message: Message, options?: { transfer?: boolean }): void;
  /** The answer.  Rejects with what `tell` throws, or what became of the question.
   *  `transfer` gives the bytes away where the carrier can (postMessage): they are empty here afterwards. */
  ask(name: string, message: Message, options?: { timeoutMs?: number; transfer?: boolean }): Promise<any>;
  /** Register an actor, or put another in its place. */
  actor(name: string, target: Handler | object): void;
  close(why?: string): void;
  /** Why it ended, once it has. */
  readonly closed: Promise<string>;
  statistics(): Statistics;
}

/** What takes frames across; one is for one connection. */
export interface Carrier {
  open(handlers: {
    receive(text: string, parts: Uint8Array[]): void;
    lost(why: string): void;
    drop(reason: string): void;
  }): Promise<void>;
  send(text: string, parts: Uint8Array[], transfer?: boolean): void;
  close(why: string): void;
}

export const VERSION: number;
export const LIMITS: Readonly<Limits>;

/** Begin over a carrier; resolves once the other side has said hello.  Rejects with BridgeClosed. */
export function connect(carrier: Carrier, options?: Options): Promise<Bridge>;

/** To a BridgeServer: "ws://127.0.0.1:8000/". */
export function webSocket(url: string, options?: { unsentBytesMax?: number }): Carrier;

/** To a PageEndpoint in this page's own Pyodide; it is destroyed at the end. */
export function page(endpoint: object): Carrier;

/** To a worker, a MessagePort, `self` in a worker, or a window, whose origin has to be named. */
export function port(
  target: { postMessage(message: any, options?: any): void },
  options?: { origin?: string },
): Carrier;

/** Join two carriers, so that a page talks to a Pyodide in its worker: relay(port(self), page(endpoint)).
 *  Resolves once both are open, or one has ended before; rejects with what kept one from opening. */
export function relay(one: Carrier, other: Carrier): Promise<void>;

export class BridgeError extends Error {
  constructor(message: string, name?: string);
}
export class AskTimedOut extends BridgeError {}
export class AskDropped extends BridgeError {}
export class ActorStopped extends BridgeError {}
export class MailboxFull extends BridgeError {}
export class NoRoutee extends BridgeError {}
export class UnhandledMessage extends BridgeError {}
export class HandlerFailed extends BridgeError {}
export class NotRegistered extends BridgeError {}
export class BadMessage extends BridgeError {}
export class MessageTooLarge extends BridgeError {}
export class Overloaded extends BridgeError {}
export class BridgeClosed extends BridgeError {}
