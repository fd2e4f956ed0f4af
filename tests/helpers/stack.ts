/**
 * A whole `kedge start`, as a user runs it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Api } from "./api.ts";
import { Child } from "./child.ts";
import type { Scope } from "./scope.ts";

/** Root of the checkout. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** An agent in the line that `kedge start --json` prints. */
export interface ReadyAgent {
  readonly node: number;
  readonly group: string;
  readonly url: string;
  readonly pid: number;
}

/** The line that `kedge start --json` prints. */
export interface Ready {
  readonly ready: true;
  readonly tracker: string;
  readonly agents: readonly ReadyAgent[];
  readonly tracker_pid: number;
}

/** How to start. */
export interface StackOptions {
  /** Data directory; a new one when missing. */
  readonly data?: string;
  /** More flags. */
  readonly flags?: readonly string[];
  /** More environment variables. */
  readonly env?: Record<string, string>;
  /** Address of the tracker; a loopback address of its own when missing. */
  readonly listen?: string;
}

/** A running `kedge start`. */
export interface Stack {
  readonly child: Child;
  readonly ready: Ready;
  readonly data: string;
  readonly api: Api;
}

/** Longest time until everything is ready, in milliseconds. */
const READY_MS = 40_000;

/** The command that `deno task start` runs, with more words. */
export function startCommand(words: readonly string[]): [string, ...string[]] {
  return kedgeCommand(["start", ...words]);
}

/** A `kedge` command. */
export function kedgeCommand(words: readonly string[]): [string, ...string[]] {
  const entry = `${ROOT}node-agent/main.ts`;
  return [
    Deno.execPath(),
    ...["run", "-A", "--quiet", "--config", `${ROOT}deno.json`],
    entry,
    ...words,
  ];
}

/**
 * Start and wait for the ready line.
 *
 * @throws {Error} With everything it printed, when it does not get ready.
 */
export async function startStack(
  scope: Scope,
  options: StackOptions = {},
): Promise<Stack> {
  const data = options.data ?? `${await scope.tempDir()}/kedge-data`;
  const listen = options.listen ?? `${loopbackAddress()}:0`;
  const child = Child.start(scope, {
    command: startCommand([
      ...["--json", "--data", data, "--listen", listen],
      ...(options.flags ?? []),
    ]),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const ready = await readyLine(child);
  const key = await Deno.readTextFile(`${data}/admin.key`);
  return { child, ready, data, api: new Api(ready.tracker, key.trim()) };
}

/** The ready line of a `kedge start --json`. */
export async function readyLine(child: Child): Promise<Ready> {
  return JSON.parse(await child.line(/^\{"ready":true/, READY_MS)) as Ready;
}

/** A loopback address that nobody else uses: ports on it are always free. */
export function loopbackAddress(): string {
  const part = () => 1 + Math.floor(Math.random() * 253);
  return `127.${part()}.${part()}.${part()}`;
}
