/**
 * Every way in which Kedge says no, as RFC 9457 problem types.
 *
 * The table is the whole truth: the HTTP status, the title, the next step and
 * the reference in `docs/reference/problems.md` come from it.
 *
 * @module
 */

/** One row of {@linkcode PROBLEMS}. */
export interface ProblemType {
  /** HTTP status. */
  readonly status: number;
  /** What it is, for people. */
  readonly title: string;
  /** What to do about it. */
  readonly next: string;
}

/** Problem types by slug. A slug is part of the API: never rename one. */
export const PROBLEMS = {
  "invalid-request": {
    status: 400,
    title: "The request is not valid",
    next: "Mend what is named, here or in `issues`, and send it again",
  },
  "invalid-file-id": {
    status: 400,
    title: "This is not a file ID",
    next: "Use the `id` exactly as the upload answered it",
  },
  "checksum-mismatch": {
    status: 400,
    title: "The bytes are not those that were announced",
    next: "Send the file again; nothing was stored",
  },
  "unauthorized": {
    status: 401,
    title: "Who is asking is not known",
    next:
      "Send `Authorization: Bearer KEY`; make a key with `kedge token create --api`",
  },
  "bad-capability": {
    status: 403,
    title: "The capability does not allow this",
    next: "Ask a tracker for a new one: POST /v1/uploads",
  },
  "bad-link": {
    status: 403,
    title: "The link does not allow this download",
    next: "Ask whoever gave you the link for a new one: `kedge link ID`",
  },
  "bad-token": {
    status: 403,
    title: "The join token does not count",
    next: "Make a new one: `kedge token create`; each works once",
  },
  "forbidden": {
    status: 403,
    title: "This caller may not do that",
    next: "Use a key with the needed role, or ask the operator",
  },
  "not-found": {
    status: 404,
    title: "There is no such thing",
    next: "See /docs for what there is",
  },
  "file-not-found": {
    status: 404,
    title: "There is no such file",
    next: "Every member was asked, or the file was deleted; check the ID",
  },
  "group-not-found": {
    status: 404,
    title: "No such group",
    next: "See `kedge groups`",
  },
  "node-not-found": {
    status: 404,
    title: "No such node",
    next: "See `kedge nodes`",
  },
  "volume-not-found": {
    status: 404,
    title: "No such volume",
    next:
      "Its first Primary makes the register: `drbdadm primary --force NAME`",
  },
  "method-not-allowed": {
    status: 405,
    title: "This cannot be done to that",
    next: "See /docs for the methods there are",
  },
  "stale-epoch": {
    status: 409,
    title: "The group register has moved on",
    next: "Read it again and decide again",
  },
  "wrong-generation": {
    status: 409,
    title: "The KV store is of another generation",
    next: "Take no changes; an operator confirms: POST /v1/nodes/N/confirm",
  },
  "register-refused": {
    status: 409,
    title: "The group register does not allow this change",
    next: "Read the register: GET /v1/groups/NAME",
  },
  "volume-refused": {
    status: 409,
    title: "The volume register does not allow this change",
    next: "Read the register: GET /v1/volumes",
  },
  "still-needed": {
    status: 409,
    title: "The group cannot do without this node now",
    next: "Bring the others in order first: `kedge status`; or add `?force=1`",
  },
  "already-exists": {
    status: 409,
    title: "It exists already",
    next: "Choose another name, or delete the old one first",
  },
  "not-an-appender": {
    status: 409,
    title: "The file cannot be changed",
    next: "Upload it with `?appender=1` to append to it later",
  },
  "idempotency-conflict": {
    status: 409,
    title: "This Idempotency-Key was used for another upload",
    next: "Use a new key for a new upload",
  },
  "incomplete-body": {
    status: 400,
    title: "The body did not arrive whole",
    next: "Send it again; nothing was stored",
  },
  "request-timeout": {
    status: 408,
    title: "The body arrived too slowly",
    next: "Send it again, faster; nothing was stored",
  },
  "length-required": {
    status: 411,
    title: "The length must be given",
    next: "Send Content-Length",
  },
  "too-large": {
    status: 413,
    title: "The body is larger than allowed",
    next: "Ask for a capability with a larger `size`",
  },
  "unsupported-media-type": {
    status: 415,
    title: "This kind of body is not understood",
    next: "Send the raw bytes, or multipart/form-data with one `file`",
  },
  "range-not-satisfiable": {
    status: 416,
    title: "The range lies outside the file",
    next: "Ask HEAD for the size first",
  },
  "precondition-failed": {
    status: 412,
    title: "The file is not in the state you named",
    next: "Read it again and decide again",
  },
  "wrong-node": {
    status: 421,
    title: "Another node must do this",
    next: "Follow the Location, or ask a tracker again",
  },
  "too-many-requests": {
    status: 429,
    title: "Too many requests",
    next: "Wait as long as Retry-After says",
  },
  "internal": {
    status: 500,
    title: "Kedge failed",
    next: "See the log of this request by its `instance`",
  },
  "damaged": {
    status: 503,
    title: "The stored copy is damaged and no good copy can be reached",
    next: "Bring the other members back, then `kedge scrub`",
  },
  "uncertain": {
    status: 503,
    title: "The file may or may not exist later",
    next: "Send it again with the same Idempotency-Key",
  },
  "unavailable": {
    status: 503,
    title: "Nobody who could know can be reached",
    next: "Wait as long as Retry-After says; see `kedge status`",
  },
  "no-storage": {
    status: 503,
    title: "No node can take this file now",
    next: "See `kedge status` for nodes that are down, full or not in sync",
  },
  "not-in-sync": {
    status: 503,
    title: "This node is not in sync with its group",
    next: "Ask a tracker for another node: POST /v1/uploads",
  },
  "read-only": {
    status: 503,
    title: "This node takes no changes now",
    next: "See `kedge status` for the reason",
  },
  "kv-unavailable": {
    status: 503,
    title: "The shared KV store does not answer",
    next: "Check the KV; reads by file ID go on without it",
  },
  "kv-uncertain": {
    status: 503,
    title: "The shared KV store did not say whether the change was made",
    next: "Read it again and decide again; do not assume either",
  },
  "insufficient-storage": {
    status: 507,
    title: "There is no room left above the reserve",
    next: "Add a group or a disk, or lower `reserved_storage_space`",
  },
} as const satisfies Record<string, ProblemType>;

/** The slug of a problem type. */
export type ProblemSlug = keyof typeof PROBLEMS;

/** A refusal with a name: thrown where it is found, rendered in one place. */
export class Problem extends Error {
  /** Always "Problem", so that a log line says what it is. */
  override readonly name = "Problem";
  /** Which row of {@linkcode PROBLEMS} this is. */
  readonly slug: ProblemSlug;
  /** Machine-readable facts about this occurrence. */
  readonly facts: Readonly<Record<string, unknown>>;

  /**
   * Name a refusal.
   *
   * @param slug Which problem this is.
   * @param detail What is wrong this time, as a sentence for a person.
   * @param facts Values a program may act on, such as the current epoch.
   */
  constructor(
    slug: ProblemSlug,
    detail: string,
    facts: Record<string, unknown> = {},
  ) {
    super(detail);
    this.slug = slug;
    this.facts = facts;
  }

  /** The HTTP status of this problem. */
  get status(): number {
    return PROBLEMS[this.slug].status;
  }

  /** The body of the answer, as RFC 9457 has it, with the next step. */
  toJSON(): Record<string, unknown> {
    const { status, title, next } = PROBLEMS[this.slug];
    const type = `/problems/${this.slug}`;
    return { type, title, status, detail: this.message, next, ...this.facts };
  }
}

/**
 * A problem as an HTTP response.
 *
 * @param problem What to say.
 * @param headers More headers; 503 and 429 get `retry-after: 1` by default.
 * @returns `application/problem+json`.
 */
export function problemResponse(
  problem: Problem,
  headers: Record<string, string> = {},
): Response {
  const mayRetry = problem.status === 503 || problem.status === 429;
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      "content-type": "application/problem+json",
      ...(mayRetry ? { "retry-after": "1" } : {}),
      ...headers,
    },
  });
}
