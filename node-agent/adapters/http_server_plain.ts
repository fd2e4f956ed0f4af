/**
 * Plain HTTP: `Deno.serve`, closed within a known time, and alive when file
 * descriptors run out.
 *
 * `Deno.serve` never closes a connection that is silent, and listens no more once
 * it could not accept one. So when descriptors get short another takes its place
 * at the same address, and the old one is shut down, which closes what is idle
 * or has not sent its headers. A shutdown also breaks the body of a request that
 * is still being read (Deno 2.9.6), so it waits for those that have no answer.
 *
 * @module
 */

import {
  arePlenty,
  areShort,
  type Descriptors,
  descriptors,
} from "./descriptors.ts";

/** The other end of a connection. */
export interface Remote {
  /** Its address; "" is not known. */
  address(): string;
  /** Its port. */
  port(): number;
  /**
   * Resolves once the answer to its request has left, or never will. To be called
   * before it begins; of one that is no stream it says nothing.
   */
  left(): Promise<void>;
}

/** Answers requests; never throws. */
export type FetchHandler = (
  request: Request,
  remote: Remote,
) => Response | Promise<Response>;

/** Where to listen, and how long to wait at the end. */
export interface PlainOptions {
  readonly hostname: string;
  readonly port: number;
  /** How long requests under way may take once the server closes, in ms. */
  readonly graceMs: number;
  /** Told, once per shortage, why connections are closed or refused. */
  readonly onShortage?: ((why: string) => void) | undefined;
  /** How many descriptors there are; those of this process when missing. */
  readonly descriptors?: (() => Descriptors | undefined) | undefined;
}

/** A plain server that listens. */
export interface PlainServer {
  readonly port: number;
  /**
   * Take no more connections, finish what is under way, then resolve; within
   * the grace also when a client never ends its request.
   */
  close(): Promise<void>;
}

/** Pause between two looks at the descriptors, in ms; where plenty are left. */
const LOOK_MS = 250;
const LOOK_LATER_MS = 1000;
/** Pause before the address is tried again, in ms. */
const AGAIN_MS = 50;
/** How long requests may hold a server that listens no more, in ms. */
const PARKED_MS_MAX = 5_000;

/**
 * Serve plain HTTP.
 *
 * @throws {Error} When the address cannot be listened on.
 */
export function servePlain(
  fetch: FetchHandler,
  options: PlainOptions,
): PlainServer {
  return new RenewedServer(fetch, options);
}

/** One `Deno.serve`. */
interface Listener {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  /** Requests that have no answer yet; a shutdown would break their bodies. */
  underWay: number;
}

/** The address is looked up when somebody asks for it. */
class Other implements Remote {
  readonly #info: Deno.ServeHandlerInfo<Deno.NetAddr>;

  constructor(info: Deno.ServeHandlerInfo<Deno.NetAddr>) {
    this.#info = info;
  }

  address(): string {
    return this.#info.remoteAddr.hostname;
  }

  port(): number {
    return this.#info.remoteAddr.port;
  }

  left(): Promise<void> {
    return this.#info.completed.catch(() => {});
  }
}

/** A `Deno.serve` that is replaced when descriptors are short. */
class RenewedServer implements PlainServer {
  readonly port: number;
  readonly #fetch: FetchHandler;
  readonly #options: PlainOptions;
  readonly #look: () => Descriptors | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Those that listen no more, with when their time is over. */
  readonly #parked = new Map<Listener, number>();
  /** Those that shut down. */
  readonly #ending = new Set<Promise<void>>();
  /** The one that listens; `undefined` while nobody does. */
  #current: Listener | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #isShort = false;
  #closed: Promise<void> | undefined;

  constructor(fetch: FetchHandler, options: PlainOptions) {
    this.#fetch = fetch;
    this.#options = options;
    this.#look = options.descriptors ?? descriptors;
    const now = this.#look(); // the limit is read once, while there are some
    this.port = this.#listen(options.port);
    this.#lookAfter(now);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  #listen(port: number): number {
    const { hostname } = this.#options;
    const listener: Listener = {
      server: Deno.serve({ hostname, port, onListen() {} }, async (
        request,
        info,
      ) => {
        listener.underWay++;
        try {
          return await this.#fetch(request, new Other(info));
        } finally {
          listener.underWay--;
        }
      }),
      underWay: 0,
    };
    const { server } = listener;
    this.#current = listener;
    server.finished.catch((error: unknown) => {
      if (this.#closed !== undefined || this.#current !== listener) return;
      this.#parked.set(listener, performance.now() + PARKED_MS_MAX);
      this.#renew(`cannot accept a connection: ${String(error)}`);
    });
    return server.addr.port;
  }

  #lookAfter(now: Descriptors | undefined): void {
    const isEasy = arePlenty(now) && this.#parked.size === 0;
    const inMs = isEasy ? LOOK_LATER_MS : LOOK_MS;
    this.#timer = setTimeout(() => this.#lookAfter(this.#check()), inMs);
    Deno.unrefTimer(this.#timer);
  }

  #check(): Descriptors | undefined {
    for (const [listener, untilMs] of this.#parked) {
      if (listener.underWay > 0 && performance.now() < untilMs) continue;
      this.#parked.delete(listener);
      this.#end(listener);
    }
    const now = this.#look();
    const current = this.#current;
    if (current === undefined) return now;
    if (!areShort(now)) this.#isShort = false;
    else if (current.underWay === 0) {
      this.#renew(`${now.open} of ${now.max} file descriptors are in use`);
      this.#end(current);
    }
    return now;
  }

  /** Another takes the place of the current one, when there are descriptors. */
  #renew(why: string): void {
    this.#current = undefined;
    if (!this.#isShort) this.#options.onShortage?.(why);
    this.#isShort = true;
    this.#listenAgain();
  }

  /** Close what is idle; what is under way goes on. */
  #end({ server }: Listener): void {
    const ending = server.shutdown().catch(() => {})
      .finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #listenAgain(): void {
    this.#again = setTimeout(() => {
      if (this.#closed !== undefined) return;
      try {
        if (!areShort(this.#look())) return void this.#listen(this.port);
      } catch {
        // The address is not free yet, or there is still no descriptor.
      }
      this.#listenAgain();
    }, AGAIN_MS);
  }

  /**
   * A client that never ends its request must not keep the agent from stopping.
   * `Deno.serve` cannot cut it off once it shuts down (an abort then throws), so
   * such a connection ends with the process.
   */
  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    clearTimeout(this.#again);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.graceMs);
    if (this.#current !== undefined) this.#end(this.#current);
    for (const listener of this.#parked.keys()) this.#end(listener);
    await Promise.race([Promise.all(this.#ending), promise]);
    clearTimeout(timer);
  }
}
