/** A refusal by a tracker or an agent, as the commands see it. */

import { z } from "zod";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { plainText } from "../text/table.ts";
import { type Failure, retryAfterMs } from "./retry_core.ts";

/** The members of RFC 9457 that are read; all optional, all from a stranger. */
const ProblemBody = z.object({
  type: z.string().max(200).catch(""),
  title: z.string().max(1000).catch(""),
  detail: z.string().max(4000).catch(""),
  next: z.string().max(1000).catch(""),
});

/** Longest refusal that is read, in bytes. */
const REFUSAL_BYTES_MAX = 64 * 1024;

/** A server said no, and why. */
export class ApiError extends CliError {
  /** HTTP status. */
  readonly status: number;
  /** Slug of the problem type; "" when the answer was not a problem. */
  readonly slug: string;
  /** How the retry policy sees it. */
  readonly failure: Failure;

  /** Use {@linkcode apiError}. */
  constructor(
    facts: { status: number; slug: string; message: string; next: string },
    failure: Failure,
  ) {
    super(facts.message, facts.next || undefined, exitOf(facts.status));
    this.status = facts.status;
    this.slug = facts.slug;
    this.failure = failure;
  }
}

/** Read a refusal. Never throws; an answer that is no problem is named so. */
export async function apiError(response: Response): Promise<ApiError> {
  const body = ProblemBody.safeParse(await readJson(response)).data;
  const slug = /\/problems\/([a-z-]+)$/.exec(body?.type ?? "")?.[1] ?? "";
  const message = body?.detail || body?.title ||
    `The server answered with status ${response.status}`;
  const failure: Failure = {
    kind: "refused",
    status: response.status,
    slug,
    retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
  };
  return new ApiError({
    status: response.status,
    slug,
    message: plainText(message),
    next: plainText(body?.next ?? ""),
  }, failure);
}

async function readJson(response: Response): Promise<unknown> {
  try {
    const length = Number(response.headers.get("content-length") ?? 0);
    if (length > REFUSAL_BYTES_MAX) {
      await response.body?.cancel();
      return {};
    }
    return await response.json();
  } catch {
    return {};
  }
}

function exitOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.refused;
  if (status === 404) return EXIT.notFound;
  return EXIT.failed;
}
