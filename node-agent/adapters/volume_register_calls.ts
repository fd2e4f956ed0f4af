/**
 * Requests about volume registers, as trackers take them. A change that is
 * still without an answer keeps its identity when it is asked for again, so it
 * is made once.
 *
 * @module
 */

import {
  type ChangeVolumeBody,
  type VolumeChange,
  VolumeRegister,
} from "@kedge/schema/volume";
import type { RegisterOf } from "../register_ports.ts";
import { TrackerRefusal, type Trackers } from "./tracker_client.ts";
import { nameOf } from "./volume_register_words.ts";

/** Times that one request is sent before the answer is "unknown". */
const TRIES = 2;

/** The register under which this process is Primary. */
export interface Held {
  readonly gen: string;
  readonly epoch: number;
}

/** A request without an answer yet. */
type Pending = ChangeVolumeBody & { readonly text: string };

/** What a tracker answered. */
export type Heard =
  | { readonly kind: "register"; readonly register: VolumeRegister }
  | { readonly kind: "missing" }
  | { readonly kind: "refused"; readonly register: VolumeRegister }
  | { readonly kind: "silence"; readonly why: string };

/** See the module comment. */
export class RegisterCalls {
  readonly #trackers: Trackers;
  readonly #pending = new Map<string, Pending>();

  /** @param trackers They know this node by its credential. */
  constructor(trackers: Trackers) {
    this.#trackers = trackers;
  }

  /** Nobody waits for the last change of a volume any more. */
  forget(of: RegisterOf): void {
    this.#pending.delete(nameOf(of));
  }

  /** Read a register as it is now. */
  async read(of: RegisterOf): Promise<Heard> {
    const call = { method: "GET", path: pathOf(of) } as const;
    return await this.#ask(() => this.#trackers.ask(call, VolumeRegister));
  }

  /** Send a change; one that is still without an answer keeps its identity. */
  async send(
    of: RegisterOf,
    under: Held | null,
    change: VolumeChange,
  ): Promise<Heard> {
    const name = nameOf(of);
    const held = under && { gen: under.gen, epoch: under.epoch };
    const text = JSON.stringify({ under: held, change });
    let pending = this.#pending.get(name);
    if (pending?.text !== text) {
      const request = crypto.randomUUID();
      pending = { under: held, request, change, text };
      this.#pending.set(name, pending);
    }
    const { text: _, ...body } = pending;
    const call = { method: "POST", path: pathOf(of), body } as const;
    let heard: Heard = { kind: "silence", why: "nobody was asked" };
    for (let tries = 0; tries < TRIES && heard.kind === "silence"; tries++) {
      heard = await this.#ask(() =>
        this.#trackers.askOne(call, VolumeRegister)
      );
    }
    if (heard.kind !== "silence") this.#pending.delete(name);
    return heard;
  }

  async #ask(send: () => Promise<VolumeRegister>): Promise<Heard> {
    try {
      return { kind: "register", register: await send() };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!(error instanceof TrackerRefusal)) {
        return { kind: "silence", why: silenceWords(why) };
      }
      const register = registerIn(error.body);
      if (error.status === 404) return { kind: "missing" };
      return error.status === 409 && register !== undefined
        ? { kind: "refused", register }
        : { kind: "silence", why };
    }
  }
}

/** The register that a 409 carries, as a fact of the problem. */
function registerIn(body: unknown): VolumeRegister | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  return "register" in body
    ? VolumeRegister.safeParse(body.register).data
    : undefined;
}

function silenceWords(why: string): string {
  return `no tracker answers (${why}): roles stay as they are until one does`;
}

function pathOf({ resource, volume }: RegisterOf): string {
  return `/v1/volumes/${encodeURIComponent(resource)}/${volume}/register`;
}
