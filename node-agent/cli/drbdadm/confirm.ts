/** Questions of the metadata tools: `yes` on a terminal, or `--force`. */

import type { MetaTools } from "../mirror_module.ts";
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

/** Ask all of them; whether each was answered with `yes`. */
export async function confirm(
  session: Session,
  questions: readonly Question[],
  tools: Pick<MetaTools, "FORCED" | "NO_TERMINAL" | "PROMPT">,
): Promise<boolean> {
  const { out, err } = session.context;
  for (const { stdout, stderr, cancelled } of questions) {
    out.write(stdout);
    err.write(stderr);
    if (session.asks("force")) {
      err.write(`${tools.FORCED}`);
      continue;
    }
    if (!Deno.stdin.isTerminal()) {
      err.write(`${tools.NO_TERMINAL}`);
      out.write(cancelled);
      return false;
    }
    err.write(tools.PROMPT);
    if (await answer(session) !== "yes") {
      out.write(cancelled);
      return false;
    }
  }
  return true;
}

/** One line of standard input. */
async function answer(session: Session): Promise<string> {
  const reader = session.context.stdin.pipeThrough(new TextDecoderStream())
    .getReader();
  let text = "";
  try {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
  } finally {
    reader.releaseLock();
  }
  return text.split("\n")[0]?.trim() ?? "";
}
