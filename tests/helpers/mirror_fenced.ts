/**
 * A mirrored pair whose roles a tracker decides: a real tracker process with
 * its own store beside the two daemons.
 *
 * ```text
 *  daemon a ── TCP ⇄ ── daemon b
 *      └── HTTP ─▶ tracker ◀─┘
 *                     └── KV file
 * ```
 *
 * @module
 */

import { CreatedToken } from "@kedge/schema";
import { VolumeList, type VolumeRegister } from "@kedge/schema/volume";
import { Child } from "./child.ts";
import { eventually } from "./eventually.ts";
import type { PairOptions } from "./mirror_pair.ts";
import type { Scope } from "./scope.ts";
import { loopbackAddress, ROOT } from "./stack.ts";

const READY_MS = 40_000;
const PORT = 7080;

/** A tracker with its own KV file, that a test stops and starts again. */
export class RegisterTracker {
  readonly #adminKey = crypto.randomUUID() + crypto.randomUUID();
  readonly #address = loopbackAddress();
  #child: Child | undefined;

  private constructor(readonly scope: Scope, readonly dir: string) {}

  /** Start one on an empty store. */
  static async start(scope: Scope): Promise<RegisterTracker> {
    const tracker = new RegisterTracker(scope, await scope.tempDir());
    await tracker.start();
    return tracker;
  }

  /** Base URL. */
  get url(): string {
    return `http://${this.#address}:${PORT}`;
  }

  /** Start it, on the store as it is. */
  async start(): Promise<void> {
    const command = [
      ...["run", "-A", "--quiet", "--config", `${ROOT}deno.json`],
      ...[`${ROOT}functions/serve.ts`, "--listen", `${this.#address}:${PORT}`],
    ];
    this.#child = Child.start(this.scope, {
      command: [Deno.execPath(), ...command],
      env: {
        KEDGE_KV: this.#store,
        KEDGE_ADMIN_KEY: this.#adminKey,
        KEDGE_REQUEST_LOG: "off",
      },
    });
    await this.#child.line(/"ready":true/, READY_MS);
  }

  /** End it in order: its store is a whole file afterwards. */
  async stop(): Promise<void> {
    await this.#child?.stop();
  }

  /** Copy its store aside. */
  async backUp(): Promise<void> {
    await this.stop();
    await Deno.copyFile(this.#store, `${this.dir}/backup`);
    await this.start();
  }

  /** Put the copy of {@link backUp} back. */
  async restore(): Promise<void> {
    await this.stop();
    for (const suffix of ["-wal", "-shm"]) {
      await Deno.remove(this.#store + suffix).catch(() => {});
    }
    await Deno.copyFile(`${this.dir}/backup`, this.#store);
    await this.start();
  }

  /** It neither answers nor closes connections. */
  freeze(): void {
    this.#child?.signal("SIGSTOP");
  }

  /** It goes on. */
  thaw(): void {
    this.#child?.signal("SIGCONT");
  }

  /** A file with a new join token. */
  async tokenFile(): Promise<string> {
    const body = { kind: "join" };
    const { token, hash } = CreatedToken.parse(
      await this.#ask("POST", "/v1/tokens", body),
    );
    const path = `${this.dir}/${hash.slice(0, 16)}.token`;
    await Deno.writeTextFile(path, token, { mode: 0o600 });
    return path;
  }

  /** The register of the only volume; undefined before there is one. */
  async register(): Promise<VolumeRegister | undefined> {
    const list = VolumeList.parse(await this.#ask("GET", "/v1/volumes"));
    return list.volumes[0];
  }

  /** Wait until the register is as wanted. */
  until(
    what: string,
    wanted: (register: VolumeRegister) => boolean,
  ): Promise<VolumeRegister> {
    return eventually(async () => {
      const register = await this.register();
      return register !== undefined && wanted(register) ? register : undefined;
    }, { what, deadlineMs: 20_000 });
  }

  /** Environment of a daemon whose roles it decides. */
  async environment(
    name: "a" | "b",
    more: Record<string, string> = {},
  ): Promise<Record<string, string>> {
    return {
      ...more,
      KEDGE_MIRROR_TRACKERS: this.url,
      KEDGE_MIRROR_TOKEN_FILE: await this.tokenFile(),
      KEDGE_MIRROR_IDENTITY_DIR: `${this.dir}/identity-${name}`,
    };
  }

  /** Options of a pair whose roles it decides. */
  async decides(
    options: PairOptions,
    more: Record<string, string> = {},
  ): Promise<PairOptions> {
    const env = {
      a: await this.environment("a", more),
      b: await this.environment("b", more),
    };
    return { ...options, env };
  }

  get #store(): string {
    return `${this.dir}/kv.sqlite3`;
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.#adminKey}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await answer.json();
  }
}

/** Names of the hosts in sync. */
export function namesOf(register: VolumeRegister): string[] {
  return register.insync.map(({ name }) => name).sort();
}
