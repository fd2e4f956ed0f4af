/**
 * What `drbdadm --json` says on standard error: one line when it failed, in the
 * form of every other command, and the refusals by DRBD's codes.
 *
 * ```json
 * {"error":"r0: State change failed: (-2) Need access to UpToDate data",
 *  "exit":17,"refusals":[{"resource":"r0","code":-2,"text":"Need access …"}]}
 * ```
 *
 * @module
 */

import type { CommandReply } from "@kedge/schema/mirror/control-api";
import { refusalText } from "@kedge/schema/mirror/refusal-texts";
import type { Output } from "../context.ts";

/** One refusal of the daemon. */
export interface JsonRefusal {
  readonly resource: string;
  /** DRBD's number; 0 to 100: it has none for this. */
  readonly code: number;
  /** DRBD's text for the number. */
  readonly text: string;
  /** Cause and next command, where we know more. */
  readonly why: string | undefined;
}

/** Takes the place of standard error until the command has ended. */
export class JsonErrors implements Output {
  readonly columns: undefined = undefined;
  readonly #refusals: JsonRefusal[] = [];
  #text = "";
  #next: string | undefined;

  constructor(readonly err: Output) {}

  /** A refusal; its lines are told as well. */
  refused(resource: string, { code, why }: CommandReply): void {
    this.#refusals.push({ resource, code, text: refusalText(code), why });
  }

  /** What to do now. */
  next(text: string): void {
    this.#next ??= text;
  }

  /** @inheritdoc */
  line(text: string): void {
    this.#text += `${text}\n`;
  }

  /** @inheritdoc */
  write(text: string): void {
    this.#text += text;
  }

  /** @inheritdoc */
  bytes(chunk: Uint8Array): Promise<void> {
    this.#text += new TextDecoder().decode(chunk);
    return Promise.resolve();
  }

  /** The command has ended: say what there is to say. */
  end(exit: number): void {
    const text = this.#text.trim();
    if (exit === 0 && text === "") return;
    if (exit === 0) return this.err.line(JSON.stringify({ notes: text }));
    const next = this.#next;
    const refusals = this.#refusals;
    this.err.line(JSON.stringify({
      error: text,
      ...(next === undefined ? {} : { next }),
      exit,
      ...(refusals.length === 0 ? {} : { refusals }),
    }));
  }
}
