/**
 * Resources whose Worker died: started again as `drbdadm up` would, a few times.
 *
 * What such a Worker leaves on the disk is what a killed process leaves, and the
 * start after it is the same: the activity log is applied, and a handshake
 * decides who copies from whom. So it comes back as a Secondary; whether it
 * should be Primary again the peer may have decided meanwhile. A disk that had
 * failed and a connection that was given up stay so.
 *
 * @module
 */

import type {
  CommandReply,
  MirrorCommand,
} from "@kedge/schema/mirror/control-api";
import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import type { Log } from "../../ports.ts";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { pause } from "../pause.ts";
import type { CreateOptions, Running } from "./running.ts";

/** Pauses before each start, in ms; after the last one a person is needed. */
const PAUSES_MS: readonly number[] = [1_000, 10_000, 60_000];
/** A death that is older than this does not count any more, in ms. */
const MEMORY_MS = 10 * 60_000;
/** DRBD's code for a resource that is there already. */
const EXISTS = 161;

/** What is needed of the host. */
export interface RevivalHost {
  start(config: ResourceConfig, options: CreateOptions): Promise<CommandReply>;
  command(
    name: string,
    request: {
      readonly command: MirrorCommand;
      readonly volume?: number | undefined;
    },
  ): Promise<CommandReply>;
  readonly log: Pick<Log, "warn">;
  readonly nowMs: () => number;
  readonly pausesMs?: readonly number[] | undefined;
}

/** What is left of a resource. */
type Fallen = Pick<Running, "config" | "options"> & {
  readonly states: ReadonlyMap<number, MirrorState>;
  readonly why: string;
  /** Resolves when nothing of the dead one is in the way any more. */
  readonly gone: Promise<void>;
};

/** One that is on its way back. */
interface Revival {
  readonly stop: AbortController;
  readonly states: Fallen["states"];
}

/** See the module comment. */
export class Revivals {
  readonly #host: RevivalHost;
  /** When a resource died lately. */
  readonly #deaths = new Map<string, number[]>();
  readonly #reviving = new Map<string, Revival>();
  /** By resource: why it does not run, and what comes next. */
  readonly #texts = new Map<string, string>();
  #isClosed = false;

  constructor(host: RevivalHost) {
    this.#host = host;
  }

  /** What died and does not run again, in words. */
  get fallen(): { readonly resource: string; readonly why: string }[] {
    return [...this.#texts].map(([resource, why]) => ({ resource, why }));
  }

  /** Why a resource does not run; undefined: nobody died. */
  whyDead(name: string): string | undefined {
    return this.#texts.get(name);
  }

  /** Somebody starts or ends the resource. */
  forget(name: string): void {
    this.#reviving.get(name)?.stop.abort();
    this.#reviving.delete(name);
    this.#deaths.delete(name);
    this.#texts.delete(name);
  }

  /** Start nothing any more. */
  close(): void {
    this.#isClosed = true;
    for (const name of [...this.#reviving.keys()]) this.forget(name);
  }

  /** The Worker of a resource died. */
  fell(fallen: Fallen): void {
    if (this.#isClosed) return;
    const { name } = fallen.config;
    const stop = new AbortController();
    const before = this.#reviving.get(name);
    before?.stop.abort();
    const states = wanted(before?.states, fallen.states);
    this.#reviving.set(name, { stop, states });
    this.#revive({ ...fallen, states }, stop.signal).catch((error) => {
      this.#host.log.warn(`${name}: cannot be started again: ${error}`);
    }).finally(() => {
      if (this.#reviving.get(name)?.stop === stop) this.#reviving.delete(name);
    });
  }

  async #revive(fallen: Fallen, signal: AbortSignal): Promise<void> {
    const { log } = this.#host;
    const { config: { name }, options } = fallen;
    for (let { why } = fallen;;) {
      const pauseMs = this.#nextPauseMs(name);
      const text =
        `its Worker died (${why}): it is not served and not mirrored`;
      if (pauseMs === undefined) {
        this.#texts.set(
          name,
          `${text} until somebody runs "drbdadm up ${name}"; it died too ` +
            "often to be started again",
        );
        return log.warn(`${name}: ${this.#texts.get(name)}`);
      }
      this.#texts.set(name, `${text} until it is started again in a moment`);
      log.warn(`${name}: ${text}; it is started again in ${pauseMs / 1000} s`);
      await Promise.all([pause(pauseMs, signal), fallen.gone]);
      if (signal.aborted) return;
      const reply = await this.#host.start(fallen.config, options);
      if (signal.aborted) return;
      if (reply.code === EXISTS) return this.forget(name);
      if (reply.code === 1) break;
      why = reply.why ?? `it cannot be started (${reply.code})`;
    }
    this.#texts.delete(name);
    await this.#resume(fallen, signal);
  }

  /** As it was before: its disks, and its connection. */
  async #resume(fallen: Fallen, signal: AbortSignal): Promise<void> {
    const { log } = this.#host;
    const { config: { name }, states } = fallen;
    for (const [volume, { disk, connection }] of states) {
      const commands: MirrorCommand[] = [];
      if (disk !== "Diskless" && disk !== "Failed") {
        commands.push({ kind: "attach" });
      }
      if (connection !== "StandAlone" && connection !== "Disconnecting") {
        commands.push({
          ...{ kind: "connect", discardMyData: false, tentative: false },
        });
      }
      for (const command of commands) {
        if (signal.aborted) return;
        const { code, why } = await this.#host.command(name, {
          command,
          volume,
        });
        if (code === 1) continue;
        const reason = why ?? `refused (${code})`;
        log.warn(`${name}/${volume}: cannot ${command.kind}: ${reason}`);
      }
    }
    const wasPrimary = [...states.values()].some(({ role }) =>
      role === "Primary"
    );
    const next = wasPrimary
      ? `. It was Primary: "drbdadm primary ${name}", here or on the peer, ` +
        "lets its clients go on"
      : "";
    log.warn(`${name}: runs again, after its Worker died${next}`);
  }

  /** Undefined: it died too often. */
  #nextPauseMs(name: string): number | undefined {
    const { nowMs, pausesMs = PAUSES_MS } = this.#host;
    const now = nowMs();
    const lately = (this.#deaths.get(name) ?? [])
      .filter((atMs) => now - atMs < MEMORY_MS);
    this.#deaths.set(name, [...lately, now]);
    return pausesMs[lately.length];
  }
}

/** One that dies on its way back should be what it was before, not half of it. */
function wanted(
  before: Fallen["states"] | undefined,
  now: Fallen["states"],
): Fallen["states"] {
  const states = new Map(now);
  for (const [volume, state] of before ?? []) {
    const { disk } = states.get(volume) ?? state;
    states.set(volume, disk === "Failed" ? { ...state, disk } : state);
  }
  return states;
}
