/**
 * The first moment of an agent: it listens before it may take changes, because
 * its first heartbeat tells the port. Who wants to change something just then
 * waits at the door; a refusal would be true for some milliseconds only.
 *
 * @module
 */

/** Answers a request of somebody. */
export type Answer = (
  request: Request,
  caller: { address(): string; left?(): Promise<void> },
) => Response | Promise<Response>;

/** See the module comment. */
export class Opening {
  readonly #opened = Promise.withResolvers<void>();
  #isOpen = false;

  /** From now on nobody waits; may be called again. */
  open(): void {
    this.#isOpen = true;
    this.#opened.resolve();
  }

  /** The same answers, changes not before {@linkcode open}. */
  door(answer: Answer): Answer {
    return (request, caller) =>
      this.#isOpen || changesNothing(request)
        ? answer(request, caller)
        : this.#opened.promise.then(() => answer(request, caller));
  }
}

function changesNothing({ method }: Request): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}
