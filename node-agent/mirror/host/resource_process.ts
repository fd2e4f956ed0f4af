/**
 * One resource's Worker, seen from the main isolate: questions and answers.
 *
 * @module
 */

import type { MirrorCommand } from "@kedge/schema/mirror/control-api";
import type { CommandResult } from "../core/volume_types.ts";
import { PulseResponder } from "../link/pulse_sockets.ts";
import { HangWatch } from "./hang_watch.ts";
import type {
  FromWorker,
  ResourceSpec,
  ToWorker,
  VolumeStatus,
} from "../worker_messages.ts";

/** Who hears what the Worker says on its own. */
export type Spoken = (
  message: Extract<
    FromWorker,
    { type: "changed" | "resized" | "helper" | "register" | "log" }
  >,
) => void;

/** How long a Worker may take to say where it stands, in ms. */
const STATUS_MS = 1_000;
/** How long a Worker may take to end in order, in ms. */
const STOP_MS = 10_000;

/** See the module comment. */
export class ResourceProcess {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (message: FromWorker) => void>();
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<string>();
  /** Here and not in the Worker, which waits for its disk at times. */
  #responder: PulseResponder;
  readonly #hang: HangWatch;
  readonly #warn: (text: string) => void;
  #lastId = 0;
  /** Why nobody answers any more. */
  #end: string | undefined;
  #lastStatus: readonly VolumeStatus[] = [];

  constructor(public spec: ResourceSpec, spoken: Spoken, entry: URL) {
    this.#worker = new Worker(entry, {
      type: "module",
      name: `mirror-${spec.resource}`,
    });
    this.#warn = (text) => spoken({ type: "log", level: "warn", text });
    this.#responder = new PulseResponder(spec.local, this.#warn);
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      this.#hear(data, spoken);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
    this.#hang = new HangWatch(
      () => timeoutOf(this.spec),
      (news) => this.#hears(news),
    );
    this.#post({ type: "start", spec, turns: this.#hang.turns });
  }

  /** Resolves when it runs. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves with the reason when the Worker died. */
  get died(): Promise<string> {
    return this.#ended.promise;
  }

  /** Let one volume, or all, do something. */
  async command(
    command: MirrorCommand,
    volume: number | undefined,
  ): Promise<CommandResult> {
    const answer = await this.#ask((id) => ({
      type: "command",
      id,
      volume,
      command,
    }));
    return resultOf(answer);
  }

  /** Let it run on with other options. */
  async configure(spec: ResourceSpec): Promise<CommandResult> {
    const answer = await this.#ask((id) => ({ type: "configure", id, spec }));
    const result = resultOf(answer);
    if (result.code !== 1) return result;
    const { hostname, port } = this.spec.local;
    const { local } = spec;
    this.spec = spec;
    if (local.hostname !== hostname || local.port !== port) {
      this.#responder.close(); // no connection uses it
      this.#responder = new PulseResponder(local, this.#warn);
    }
    return result;
  }

  /**
   * Where its volumes stand. A Worker that is stuck in its disk does not make
   * everybody wait: after a moment its last answer stands in.
   */
  async status(waitMs = STATUS_MS): Promise<readonly VolumeStatus[]> {
    const late = Promise.withResolvers<undefined>();
    const alarm = setTimeout(() => late.resolve(undefined), waitMs);
    const answer = await Promise.race([
      this.#ask((id) => ({ type: "status", id })),
      late.promise,
    ]);
    clearTimeout(alarm);
    if (answer?.type === "status") this.#lastStatus = answer.status;
    return this.#lastStatus;
  }

  /** Tell it something that needs no answer. */
  tell(
    message: Extract<
      ToWorker,
      { type: "helperDone" | "registerChanged" | "dependency" }
    >,
  ): void {
    this.#post(message);
  }

  /** End it: exports closed, disks in order; by force when that takes long. */
  async stop(): Promise<void> {
    const stopped = this.#ask((id) => ({ type: "stop", id }));
    const timer = Promise.withResolvers<void>();
    const alarm = setTimeout(() => timer.resolve(), STOP_MS);
    await Promise.race([stopped, timer.promise]);
    clearTimeout(alarm);
    this.#worker.terminate();
    this.#close("it was taken down meanwhile");
  }

  #hear(message: FromWorker, spoken: Spoken): void {
    switch (message.type) {
      case "ready":
        return this.#started.resolve();
      case "failed":
        return this.#fail(message.why);
      case "answer":
      case "status":
      case "stopped": {
        const done = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        return done?.(message);
      }
      case "pulse":
        return this.#responder.add(message.session);
      case "pulseEnd":
        return this.#responder.remove(message.session);
      default:
        spoken(message);
    }
  }

  /** For a Worker that hangs nobody answers: its peer goes on without it. */
  #hears(news: "hangs" | "back"): void {
    const { resource, local } = this.spec;
    if (news === "hangs") {
      this.#responder.close();
      return this.#warn(
        `the disk has not answered for ${timeoutOf(this.spec)} ms ` +
          `(disk-timeout): "${resource}" stands still here until it does, and ` +
          "its peer is let go. Look at the disk",
      );
    }
    this.#responder = new PulseResponder(local, this.#warn);
    this.#warn("the disk answers again, too late");
  }

  #fail(why: string): void {
    this.#close(why);
    this.#started.reject(new Error(why));
    this.#started.promise.catch(() => {});
    this.#ended.resolve(why);
  }

  /** Who waits for an answer gets none from the Worker: say so instead. */
  #close(why: string): void {
    this.#end ??= why;
    this.#hang.close();
    this.#responder.close();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const done of waiting) done({ type: "failed", why });
  }

  #ask(make: (id: number) => ToWorker): Promise<FromWorker> {
    if (this.#end !== undefined) {
      return Promise.resolve({ type: "failed", why: this.#end });
    }
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#post(make(id));
    });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function resultOf(answer: FromWorker): CommandResult {
  if (answer.type === "answer") return answer.result;
  return answer.type === "failed"
    ? { code: 20, why: answer.why }
    : { code: 20 };
}

/** The shortest time that a disk of the resource may take; 0: for ever. */
function timeoutOf({ volumes }: ResourceSpec): number {
  const limits = volumes.map(({ diskTimeoutMs = 0 }) => diskTimeoutMs)
    .filter((each) => each > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}
