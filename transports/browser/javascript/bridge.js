// JavaScript's side of a bridge to actors (shoal.transports.bridge): tell and ask them by name, and be one.
//
//   const bridge = await connect(webSocket("ws://127.0.0.1:8000/"), { actors: { chart: { Draw: ({ points }) => ... } } });
//   bridge.tell("account", { type: "Deposit", cents: 300 });
//   const left = await bridge.ask("account", { type: "Withdraw", cents: 100 });
//
// A message is a plain object whose `type` names its class in Python; bytes are Uint8Array.  Answers are plain values.
// An actor is a function (message, { signal }) => answer, or an object with one for each type.  It handles one message
// at a time, and `signal` is aborted when nobody waits for the answer any more.
//
// What is refused is an error to whoever asked, and is counted by reason otherwise: `statistics().dropped`.

import {
  AskTimedOut, BadMessage, BridgeClosed, BridgeError, ERRORS, LIMITS, MailboxFull, MessageTooLarge, NAME_MAX,
  NotRegistered, Overloaded, VERSION, checkedName, decoded, isPlain, takeOut, tooLarge, wellFormed,
} from "./frames.js";

export { page, port, relay, webSocket } from "./carriers.js";
export {
  ActorStopped, AskDropped, AskTimedOut, BadMessage, BridgeClosed, BridgeError, HandlerFailed, LIMITS, MailboxFull,
  MessageTooLarge, NoRoutee, NotRegistered, Overloaded, UnhandledMessage, VERSION,
} from "./frames.js";

/** Begin over a carrier; resolves once the other side has said hello. */
export async function connect(carrier, options = {}) {
  const bridge = new Bridge(options);
  await bridge.begin(carrier);
  return bridge;
}

class Bridge {
  #limits;
  #token;
  #errors;
  #carrier = null;
  #actors = new Map();
  #asked = new Map(); // number -> { resolve, reject, timer }
  #questions = new Map(); // number -> AbortController
  #lastAsk = 0;
  #counts = { sent: 0, received: 0, dropped: {} };
  #greeted = null; // { resolve, reject, timer }, until the other side has said hello
  #why = null; // set once closed
  #ended;

  constructor({ actors = {}, errors = {}, token = null, limits = {} }) {
    this.#limits = { ...LIMITS, ...limits };
    this.#token = token;
    this.#errors = new Map(Object.entries(errors));
    this.closed = new Promise((resolve) => (this.#ended = resolve));
    for (const [name, target] of Object.entries(actors)) this.actor(name, target);
  }

  /** For `connect`. */
  async begin(carrier) {
    this.#carrier = carrier;
    const greeted = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close("the other side did not say hello in time"), this.#limits.helloTimeoutMs);
      this.#greeted = { resolve, reject, timer };
    });
    try {
      const opening = carrier.open({
        receive: (text, parts) => this.#receive(text, parts),
        lost: (why) => this.#end(why),
        drop: (reason) => this.#drop(reason),
      });
      await Promise.race([opening, greeted]); // a port opens when the other side has come, which may be never
      this.#send({ op: "hello", version: VERSION, token: this.#token });
    } catch (error) {
      greeted.catch(() => {}); // this is what is told
      this.#end(String(error?.message ?? error));
      throw error;
    }
    await greeted;
  }

  /** Let the other side send to `target`, a function or an object of functions, under `name`. */
  actor(name, target) {
    this.#actors.set(checkedName(name), { find: handlersOf(target), waiting: 0, last: Promise.resolve() });
  }

  /** Send and go on.  Throws what says that nothing was sent. */
  tell(name, message, { transfer = false } = {}) {
    const { type, body, parts, at } = this.#packed(message);
    this.#send({ op: "tell", to: checkedName(name), type, body, at }, parts, transfer);
  }

  /** Send, and get the answer or the error. */
  async ask(name, message, { timeoutMs = this.#limits.askTimeoutMs, transfer = false } = {}) {
    const { type, body, parts, at } = this.#packed(message);
    if (!(timeoutMs >= 1)) throw new BadMessage(`timeoutMs is ${timeoutMs}; give milliseconds`);
    if (this.#asked.size >= this.#limits.asksMax) {
      this.#drop("overloaded");
      throw new Overloaded(`${this.#asked.size} asks wait already; wait for some, or raise asksMax`);
    }
    const id = (this.#lastAsk += 1);
    const ms = Math.min(Math.ceil(timeoutMs), 2 ** 31 - 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new AskTimedOut(`${name} did not answer within ${ms} ms`));
        try {
          this.#send({ op: "cancel", id });
        } catch {
          this.#drop("unsent"); // the other side's time-out decides
        }
      }, ms);
      this.#asked.set(id, { resolve, reject, timer }); // before it is sent: a refusal may come at once
      try {
        this.#send({ op: "ask", id, to: checkedName(name), type, body, at, ms }, parts, transfer);
      } catch (error) {
        this.#asked.delete(id);
        clearTimeout(timer);
        throw error;
      }
    });
  }

  /** Say goodbye and end: asks that wait fail with BridgeClosed. */
  close(why = "done") {
    if (this.#why !== null) return;
    try {
      this.#send({ op: "bye", why: wellFormed(String(why).slice(0, 1000)) });
    } catch {
      // the carrier has gone first
    }
    this.#end(why);
  }

  statistics() {
    const { sent, received, dropped } = this.#counts;
    return { sent, received, dropped: { ...dropped }, asked: this.#asked.size, questions: this.#questions.size };
  }

  #packed(message) {
    if (!isPlain(message) || typeof message.type !== "string")
      throw new BadMessage("a message is a plain object whose `type` names its class");
    const { type, ...fields } = message;
    const { body, parts, at } = takeOut(fields);
    return { type: checkedName(type), body, parts, at };
  }

  #send(frame, parts = [], transfer = false) {
    if (this.#why !== null) throw new BridgeClosed(`the bridge was closed: ${this.#why}`);
    const text = JSON.stringify(frame);
    const excess = tooLarge(text, parts, this.#limits);
    if (excess !== null) {
      this.#drop("too_large");
      throw new MessageTooLarge(excess);
    }
    this.#carrier.send(text, parts, transfer);
    this.#counts.sent += 1;
  }

  #drop(reason) {
    this.#counts.dropped[reason] = (this.#counts.dropped[reason] ?? 0) + 1;
  }

  #end(why) {
    if (this.#why !== null) return;
    this.#why = why;
    const error = new BridgeClosed(`the bridge was closed: ${why}`);
    if (this.#greeted !== null) {
      clearTimeout(this.#greeted.timer);
      this.#greeted.reject(error);
      this.#greeted = null;
    }
    for (const { reject, timer } of this.#asked.values()) {
      clearTimeout(timer);
      reject(error);
    }
    for (const abort of this.#questions.values()) abort.abort();
    this.#asked.clear();
    this.#questions.clear();
    this.#carrier?.close(why);
    this.#ended(why);
  }

  #receive(text, parts) {
    if (this.#why !== null) return;
    this.#counts.received += 1;
    if (tooLarge(text, parts, this.#limits) !== null) return this.#drop("too_large");
    const frame = decoded(text, parts);
    if (frame === null) return this.#drop("malformed");
    if (this.#greeted !== null && frame.op !== "hello" && frame.op !== "bye") return this.#drop("malformed");
    switch (frame.op) {
      case "hello":
        return this.#greet(frame);
      case "bye":
        return this.#end(`by the other side: ${frame.why}`);
      case "tell":
      case "ask":
        return this.#take(frame);
      case "cancel":
        this.#questions.get(frame.id)?.abort();
        this.#questions.delete(frame.id);
        return;
      default:
        return this.#settle(frame);
    }
  }

  #greet({ version }) {
    if (this.#greeted === null) return this.#drop("malformed");
    if (version !== VERSION) return this.close(`the other side speaks version ${version}, this one ${VERSION}`);
    clearTimeout(this.#greeted.timer);
    this.#greeted.resolve();
    this.#greeted = null;
  }

  #settle({ op, id, body, name, message }) {
    const asked = this.#asked.get(id);
    if (asked === undefined) return this.#drop("late_answer");
    this.#asked.delete(id);
    clearTimeout(asked.timer);
    if (op === "answer") return asked.resolve(body);
    const known = this.#errors.get(name) ?? (Object.hasOwn(ERRORS, name) ? ERRORS[name] : null);
    asked.reject(known === null ? new BridgeError(message, name) : new known(message));
  }

  #take({ op, id, to, type, body }) {
    const refuse = (reason, error) => {
      this.#drop(reason);
      if (op === "ask") this.#fail(id, error);
    };
    const actor = this.#actors.get(to);
    if (actor === undefined) return refuse("unknown_name", new NotRegistered(`no actor ${to} is registered in JavaScript`));
    const handler = actor.find(type);
    if (handler === undefined) return refuse("unknown_type", new NotRegistered(`${to} takes no ${type} in JavaScript`));
    if (actor.waiting >= this.#limits.mailboxMax)
      return refuse("mailbox_full", new MailboxFull(`${actor.waiting} messages wait for ${to} in JavaScript`));
    const abort = op === "ask" ? new AbortController() : null;
    if (abort !== null) {
      if (this.#questions.has(id)) return this.#drop("malformed");
      if (this.#questions.size >= this.#limits.asksMax)
        return refuse("overloaded", new Overloaded(`${this.#questions.size} asks are open in JavaScript`));
      this.#questions.set(id, abort);
    }
    actor.waiting += 1;
    actor.last = actor.last.then(async () => {
      try {
        const value = await handler({ type, ...body }, { signal: abort?.signal ?? null });
        if (abort !== null) this.#answer(id, value);
      } catch (error) {
        if (abort !== null) return this.#fail(id, error);
        this.#drop("handler_failed");
        console.error(error); // nobody else would hear of it
      } finally {
        actor.waiting -= 1;
      }
    });
  }

  #answer(id, value) {
    if (!this.#questions.has(id)) return; // cancelled
    const { body, parts, at } = takeOut(value ?? null);
    this.#send({ op: "answer", id, body, at }, parts);
    this.#questions.delete(id);
  }

  #fail(id, error) {
    this.#questions.delete(id);
    if (this.#why !== null) return;
    const name = String(error?.name || "Error").slice(0, NAME_MAX);
    try {
      this.#send({ op: "fail", id, name, message: wellFormed(String(error?.message ?? error).slice(0, 1000)) });
    } catch {
      this.#drop("unsent"); // the carrier takes no more; the asker's time-out decides
    }
  }
}

function handlersOf(target) {
  if (typeof target === "function") return () => target;
  if (typeof target !== "object" || target === null) throw new BadMessage("an actor is a function, or an object of functions");
  const handlers = new Map(); // taken now: what every object inherits is no handler
  for (let one = target; one !== null && one !== Object.prototype; one = Object.getPrototypeOf(one))
    for (const key of Object.getOwnPropertyNames(one)) {
      const found = Object.getOwnPropertyDescriptor(one, key).value;
      if (typeof found === "function" && key !== "constructor" && !handlers.has(key)) handlers.set(key, found.bind(target));
    }
  return (type) => handlers.get(type);
}
