/** Questions of the metadata tools: `yes` on a terminal, or `--force`. */

import type { Session } from "./session.ts";

/** What is asked, and what is said when the answer is no. */
export interface Question {
  /** For standard output, before the question. */
  readonly stdout: string;
  /** The question, for standard error. */
  readonly stderr: string;
  /** For standard output, when the answer is not `yes`. */
  readonly cancelled: string;
}

/** The words around a question. */
export interface ConfirmTexts {
  readonly FORCED: string;
  readonly NO_TERMINAL: string;
  readonly PROMPT: string;
}

/** Ask all of them; whether each was answered with `yes`. */
export async function confirm(
  session: Session,
  questions: readonly Question[],
  tools: ConfirmTexts,
  isTerminal: () => boolean = () => Deno.stdin.isTerminal(),
): Promise<boolean> {
  const { out, err, stdin } = session.context;
  using answers = new Answers(stdin);
  for (const { stdout, stderr, cancelled } of questions) {
    out.write(stdout);
    err.write(stderr);
    if (session.asks("force")) {
      err.write(`${tools.FORCED}`);
      continue;
    }
    if (session.has("json") || !isTerminal()) {
      err.write(`${tools.NO_TERMINAL}`);
      out.write(cancelled);
      return false;
    }
    err.write(tools.PROMPT);
    if (await answers.next() !== "yes") {
      out.write(cancelled);
      return false;
    }
  }
  return true;
}

/** Reads lines from standard input, one at a time; "" at its end. */
class Answers implements Disposable {
  readonly #decoder = new TextDecoder();
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = "";

  constructor(stdin: ReadableStream<Uint8Array>) {
    this.#reader = stdin.getReader();
  }

  async next(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
    const end = this.#text.indexOf("\n");
    const line = end < 0 ? this.#text : this.#text.slice(0, end);
    this.#text = end < 0 ? "" : this.#text.slice(end + 1);
    return line.trim();
  }

  [Symbol.dispose](): void {
    this.#reader.releaseLock();
  }
}
