/**
 * The commands' end of the control socket of a mirror daemon
 * (`schema/mirror/control_api.ts`).
 *
 * @module
 */

import {
  CommandReply,
  type CommandRequest,
  MirrorEvent,
  MirrorStatus,
  type ResourceRequest,
} from "@kedge/schema/mirror/control-api";
import { TextLineStream } from "@std/streams";
import { z } from "zod";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import {
  Patience,
  type PatienceContext,
  SilentDaemonError,
} from "./mirror/patience.ts";
import { controlSocket, refuseOpenFolder } from "./mirror/run_dir.ts";

/** No daemon listens on the socket. */
export class NoDaemonError extends CliError {
  /** @param socket Where it was looked for. */
  constructor(socket: string) {
    super(
      `no mirror daemon answers on ${socket}`,
      'start it with "kedge mirror start", or name its folder with --run-dir',
      EXIT.unreachable,
    );
  }
}

/** Longest path of a Unix socket. Source: unix(7), sun_path. */
const SOCKET_PATH_BYTES_MAX = 107;

/** The end of what exists, in a stream of events. */
export const Ready = z.object({ kind: z.literal("ready") });

/** A line of the stream of events. */
const EventLine = z.union([Ready, MirrorEvent]);

/** See the module comment. */
export class MirrorClient implements Disposable {
  /** Path of the socket. */
  readonly socket: string;
  readonly #client: Deno.HttpClient;
  readonly #patience: Patience;

  /**
   * @param runDir Folder of the daemon.
   * @param context Where to say that it is waited for; KEDGE_PATIENCE.
   * @throws {CliError} When its path is too long for a socket, or when others
   * may put something into it.
   */
  constructor(runDir: string, context?: PatienceContext) {
    refuseOpenFolder(runDir);
    this.socket = controlSocket(runDir);
    if (new TextEncoder().encode(this.socket).length > SOCKET_PATH_BYTES_MAX) {
      throw new CliError(
        `the path of the socket is too long: ${this.socket}`,
        "choose a shorter folder with --run-dir or KEDGE_RUN_DIR",
        EXIT.misused,
      );
    }
    this.#patience = new Patience(
      runDir,
      (signal) => this.#fetch("alive", { signal }),
      context,
    );
    this.#client = Deno.createHttpClient({
      proxy: { transport: "unix", path: this.socket },
    });
  }

  /** Whether a daemon answers. */
  async isRunning(): Promise<boolean> {
    try {
      const conn = await Deno.connect({ path: this.socket, transport: "unix" });
      conn.close();
      return true;
    } catch {
      return false;
    }
  }

  /** Where everything stands. */
  async status(): Promise<MirrorStatus> {
    return MirrorStatus.parse(
      await this.#ask("GET", "resources", { what: "status" }),
    );
  }

  /** What a resource was started with: a `ResourceConfig` as JSON. */
  async configOf(name: string): Promise<unknown> {
    const path = `resources/${encodeURIComponent(name)}`;
    const answer = await this.#ask("GET", path, { what: name });
    return z.object({ config: z.unknown() }).parse(answer).config;
  }

  /** `new-resource` and `new-minor`. */
  async create(name: string, request: ResourceRequest): Promise<CommandReply> {
    const path = `resources/${encodeURIComponent(name)}`;
    return CommandReply.parse(
      await this.#ask("PUT", path, { what: `up ${name}`, body: request }),
    );
  }

  /** Options, and addresses and disks that are not in use. */
  async configure(name: string, config: unknown): Promise<CommandReply> {
    const path = `resources/${encodeURIComponent(name)}/options`;
    return CommandReply.parse(
      await this.#ask("POST", path, {
        what: `adjust ${name}`,
        body: { config },
      }),
    );
  }

  /** The connection anew, for options that are pending. */
  async reconnect(name: string): Promise<CommandReply> {
    const path = `resources/${encodeURIComponent(name)}/reconnect`;
    return CommandReply.parse(
      await this.#ask("POST", path, { what: `adjust --reconnect ${name}` }),
    );
  }

  /** The end of a resource. */
  async remove(name: string): Promise<CommandReply> {
    const path = `resources/${encodeURIComponent(name)}`;
    return CommandReply.parse(
      await this.#ask("DELETE", path, { what: `down ${name}` }),
    );
  }

  /** A command for a resource. */
  async command(name: string, request: CommandRequest): Promise<CommandReply> {
    const path = `resources/${encodeURIComponent(name)}/commands`;
    return CommandReply.parse(
      await this.#ask("POST", path, {
        what: `${request.command.kind} ${name}`,
        body: request,
      }),
    );
  }

  /** Ask the daemon to end. */
  async stop(): Promise<void> {
    await this.#ask("POST", "stop", { what: "stop" });
  }

  /** What exists, then `ready`, then every change; until `signal` aborts. */
  async *events(
    signal: AbortSignal,
  ): AsyncGenerator<z.infer<typeof EventLine>> {
    const response = await this.#send("events", "events", { signal });
    const lines = (response.body ?? new Blob([]).stream())
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    try {
      for await (const line of lines) yield EventLine.parse(JSON.parse(line));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Give the connections back. */
  [Symbol.dispose](): void {
    this.#client.close();
  }

  async #ask(
    method: string,
    path: string,
    { what, body }: { readonly what: string; readonly body?: unknown },
  ): Promise<unknown> {
    const response = await this.#send(path, what, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer;
    const { detail } = z.object({ detail: z.string() }).catch({
      detail: `HTTP status ${response.status}`,
    }).parse(answer);
    throw new CliError(`the mirror daemon refused: ${detail}`);
  }

  async #send(
    path: string,
    what: string,
    init: RequestInit,
  ): Promise<Response> {
    const { signal } = init;
    try {
      return await this.#patience.over(what, (givenUp) => {
        const signals = signal ? [signal, givenUp] : [givenUp];
        return this.#fetch(path, {
          ...init,
          signal: AbortSignal.any(signals),
        });
      });
    } catch (error) {
      if (error instanceof SilentDaemonError) throw error;
      if (signal?.aborted || await this.isRunning()) throw error;
      throw new NoDaemonError(this.socket);
    }
  }

  #fetch(path: string, init: RequestInit): Promise<Response> {
    const client = this.#client;
    return fetch(`http://localhost/v1/${path}`, { ...init, client });
  }
}
